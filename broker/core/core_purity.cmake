# cmake -DNM=nm -DARCHIVE=libtruc_core.a -P core_purity.cmake
# The core is a function of its events: its objects import neither clock, file, socket, thread, random number, environment nor
# output, and of our own folders only proto's.

execute_process(COMMAND ${NM} --undefined-only --format=posix ${ARCHIVE} OUTPUT_VARIABLE listing RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${NM} cannot read ${ARCHIVE}")
endif()
set(denied
    "clock_(get|set|nano).*|clock|time|gettimeofday|localtime.*|gmtime.*|strftime|nanosleep|usleep|sleep|timer.*"
    "open.*|close|read|write|pread.*|pwrite.*|lseek.*|stat.*|f?sync|fdatasync|unlink.*|rename.*|mkdir.*|mmap.*|munmap|ioctl|fcntl.*"
    "f(open|close|read|write|puts|printf|flush).*|printf|puts|putchar|perror|std(in|out|err)|__f?printf_chk|__vfprintf_chk|syslog"
    "socket.*|bind|listen|accept4?|connect|send.*|recv.*|poll.*|select|epoll.*|eventfd.*|pipe.*"
    "pthread_.*|mtx_.*|cnd_.*|thrd_.*|sem_.*|fork|exec.*|signal|sig.*|kill|raise|exit|_exit"
    "rand.*|srand.*|random|drand.*|getrandom|getentropy|arc4random.*|getenv|secure_getenv|setlocale"
    "nng_.*|mdb_.*|log_.*|net_.*|sodium_.*|EVP_.*|RAND_.*|XXH.*|LZ4.*|ZSTD.*")
list(JOIN denied "|" denied)
string(REPLACE "\n" ";" lines "${listing}")
set(found "")
foreach(line IN LISTS lines)
    if(line MATCHES "^([A-Za-z_][A-Za-z0-9_]*) U")
        set(symbol ${CMAKE_MATCH_1})
        if(symbol MATCHES "^(${denied})$")
            list(APPEND found ${symbol})
        endif()
        math(EXPR seen "${seen} + 1")
    endif()
endforeach()
if(NOT seen)
    message(FATAL_ERROR "no imported symbols were found in ${ARCHIVE}: the check checks nothing")
endif()
if(found)
    list(REMOVE_DUPLICATES found)
    message(FATAL_ERROR "the core is not pure, it imports: ${found}")
endif()
