// Teensy and all other Arduino boards: loop() polls the clock.
#include "hal.h"

#if !defined(__AVR__) || defined(HAL_POLLED)
#include "outputs.h"
#include "pulses.h"
#include "sync.h"

static uint32_t next_us;

void hal_begin() { hal_run(); }

uint32_t hal_now_us() { return micros(); }

void hal_run() {
  const uint32_t now = micros();
  next_us = hal_earlier(hal_earlier(outputs_run(now), sync_run(now)), pulses_run(now));
}

void hal_poll() {
  if ((int32_t)(next_us - micros()) > 0) return;
  Quiet quiet;
  hal_run();
}

bool hal_is_free(uint8_t number) {
#if defined(__AVR__) || defined(ARDUINO_ARCH_RP2040)
  if (number < 2) return false;
#endif
#if defined(NUM_DIGITAL_PINS)
  return number < NUM_DIGITAL_PINS;
#else
  return number < 40;
#endif
}

bool hal_has_pwm(uint8_t number) {
#if defined(digitalPinHasPWM)
  return digitalPinHasPWM(number);
#else
  (void)number;
  return false;
#endif
}

#if defined(__AVR__)
Pin hal_pin(uint8_t number) { return {number, nullptr, nullptr, 0}; }
#else
Pin hal_pin(uint8_t number) { return {number}; }
#endif

void hal_write(const Pin &pin, bool high) { digitalWrite(pin.number, high ? HIGH : LOW); }

bool hal_read(const Pin &pin) { return digitalRead(pin.number) == HIGH; }

void hal_attach(uint8_t line, void (*edge)(), bool rising) {
#if defined(EIFR)
  const uint8_t before = EIMSK;
#endif
  attachInterrupt(line, edge, rising ? RISING : FALLING);
#if defined(EIFR)
  EIFR = EIMSK & ~before;  // as in hal_avr.cpp
#endif
}

const char *hal_name() {
#if defined(TEENSYDUINO)
  return "Teensy";
#else
  return "Arduino board";
#endif
}
#endif
