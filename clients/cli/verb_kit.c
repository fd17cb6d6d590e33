#undef NDEBUG
#include "clients/cli/verb_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct verb_ran *verb_run(struct fake_broker *broker, const struct cli_verb *verb, char **arguments)
{
    struct verb_ran *ran = calloc(1, sizeof *ran);
    struct cli_context context = {.globals = {.url = broker->url, .zone = "+00:00", .timeout = {true, "20s", 20000000000}}};
    void *values = calloc(1, verb->options_size + 1);
    struct cli_option_set sets[] = {{verb->options, verb->option_count, values},
                                    {cli_global_options, cli_global_option_count, &context.globals}};
    char *operands[16], why[CLI_WHY_BYTES];
    size_t operand_count = 0;
    int argc = 0, used = 0;

    assert_true(ran != NULL && values != NULL);
    while (arguments[argc] != NULL)
        argc++;
    context.globals.quiet = true;
    assert_int_equal(zone_select("+00:00", &context.zone), TRUC_OK);
    out_init(&context.out, -1);
    assert_int_equal(cli_options_parse(sets, 2, argc, arguments, false, operands, &operand_count, &used, why), TRUC_OK);
    assert_int_equal(cli_options_resolve(&sets[0], &context.zone, 0, NULL, NULL, why), TRUC_OK);
    ran->status = verb->run(&context, values, operands, operand_count);
    truc_client_close(context.client);
    assert_true(context.out.size < sizeof ran->text);
    memcpy(ran->text, context.out.size > 0 ? context.out.data : "", context.out.size);
    out_fini(&context.out);
    cli_options_fini(&sets[0]);
    free(values);
    return ran;
}
