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

// Call outputs_run now, and when it requests it. Only with interrupts disabled.
void hal_run();

// The earlier of two times.
inline uint32_t hal_earlier(uint32_t one, uint32_t other) {
  return (int32_t)(one - other) < 0 ? one : other;
}

// To be called by loop() all the time.
void hal_poll();

// Whether the pin exists and is not used by the line to the program.
bool hal_is_free(uint8_t number);
bool hal_has_pwm(uint8_t number);

Pin hal_pin(uint8_t number);
void hal_write(const Pin &pin, bool high);
bool hal_read(const Pin &pin);

// Call `edge` at each later edge of an interrupt; edges of other interrupts that are not
// handled yet are kept. Only with interrupts disabled.
void hal_attach(uint8_t line, void (*edge)(), bool rising);

// Readable name of the board.
const char *hal_name();

// Disables interrupts during its lifetime.
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
