/* Functions of the C runtime that Wine 8 lacks: complex numbers for NumPy, and feholdexcept
   for NumPy and HDF5. HDF5 restores what feholdexcept has saved: without it, floating-point
   exceptions are raised for every inexact result.
   All other functions are forwarded to a copy of Wine's own ucrtbase.dll. */
#include <windows.h>

#define MASKED 0x0008001f /* _MCW_EM: all floating-point exceptions */

typedef struct { double re, im; } complex_double;
typedef struct { float re, im; } complex_float;

double hypot(double x, double y);
double atan2(double y, double x);

double own_creal(complex_double z) { return z.re; }
double own_cimag(complex_double z) { return z.im; }
double own_cabs(complex_double z) { return hypot(z.re, z.im); }
double own_carg(complex_double z) { return atan2(z.im, z.re); }
complex_double own_conj(complex_double z) { z.im = -z.im; return z; }
float own_crealf(complex_float z) { return z.re; }
float own_cimagf(complex_float z) { return z.im; }
float own_cabsf(complex_float z) { return (float)hypot(z.re, z.im); }
float own_cargf(complex_float z) { return (float)atan2(z.im, z.re); }
complex_float own_conjf(complex_float z) { z.im = -z.im; return z; }

int own_feholdexcept(void *environment) {
    HMODULE runtime = LoadLibraryA("ucrtwine.dll");
    int (*save)(void *) = (int (*)(void *))GetProcAddress(runtime, "fegetenv");
    unsigned (*clear)(void) = (unsigned (*)(void))GetProcAddress(runtime, "_clearfp");
    unsigned (*control)(unsigned, unsigned) =
        (unsigned (*)(unsigned, unsigned))GetProcAddress(runtime, "_controlfp");
    int failed = save(environment);
    clear();
    control(MASKED, MASKED);
    return failed;
}
