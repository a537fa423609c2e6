// What differs between families of boards: one file each, hal_*.cpp.
#pragma once
#include <Arduino.h>

// A pin that can be written or read within a microsecond or so.
struct Pin {
  uint8_t number;
#if defined(__AVR__)
  volatile uint8_t *out, *in;
  uint8_t mask;
#endif
};

// Start the clock; from now on outputs_run is called when it asked to be.
void hal_begin();

// Microseconds since hal_begin, over and over from 0 after 71 minutes.
uint32_t hal_now_us();

// Have outputs_run called now, and go on as it says. With interrupts held back only.
void hal_run();

// To be called by loop() all the time.
void hal_poll();

// Whether the pin exists and is not needed for the line to the program.
bool hal_is_free(uint8_t number);
bool hal_has_pwm(uint8_t number);

Pin hal_pin(uint8_t number);
void hal_write(const Pin &pin, bool high);
bool hal_read(const Pin &pin);

// The board's name, for people.
const char *hal_name();

// Holds interrupts back as long as it lives.
class Quiet {
 public:
#if defined(__AVR__)
  Quiet() : before_(SREG) { cli(); }
  ~Quiet() { SREG = before_; }

 private:
  uint8_t before_;
#else
  Quiet() { noInterrupts(); }
  ~Quiet() { interrupts(); }
#endif
};
