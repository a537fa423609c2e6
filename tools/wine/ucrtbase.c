/* Functions of the C runtime that Wine 8 lacks and NumPy needs: complex numbers, and
   feholdexcept, which changes nothing here.
   All other functions are forwarded to a copy of Wine's own ucrtbase.dll. */
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
int own_feholdexcept(void *environment) { (void)environment; return 0; }
