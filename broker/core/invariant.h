/* invariant.h: what cannot happen unless this program is wrong. Layer: core. Checked in release builds too: going on with a wrong
 * state could acknowledge what is not on disk. Input from outside never reaches one of these unvalidated. */
#ifndef TRUC_CORE_INVARIANT_H
#define TRUC_CORE_INVARIANT_H

#define CORE_INVARIANT(condition) ((condition) ? (void)0 : __builtin_trap())

#endif
