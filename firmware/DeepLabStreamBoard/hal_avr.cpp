// Uno, Nano, Mega and similar boards (16 MHz): timer 1 is the clock and ends pulses by interrupt.
#include "hal.h"

#if defined(__AVR__) && !defined(HAL_POLLED)
#include "outputs.h"
#include "pulses.h"
#include "sync.h"

#pragma GCC optimize("O2")

static_assert(F_CPU == 16000000UL, "the clock below counts 2 ticks a microsecond");

static volatile uint32_t turned_us;  // time in whole turns of the timer
const uint16_t TURN_US = 32768;
const uint16_t SOON_US = 6;  // shorter times are busy-waited

void hal_begin() {
  Quiet quiet;
  TIMSK0 = 0;  // the core's own clock is not used, and would delay ours
  TCCR1A = 0;
  TCCR1B = _BV(CS11);  // 2 MHz
  TCNT1 = 0;
  TIFR1 = 0xFF;
  TIMSK1 = _BV(TOIE1) | _BV(OCIE1A);
  hal_run();
}

ISR(TIMER1_OVF_vect) { turned_us += TURN_US; }

static uint32_t now_us() {  // with interrupts disabled
  const uint16_t ticks = TCNT1;
  const uint32_t us = turned_us + (ticks >> 1);
  return (TIFR1 & _BV(TOV1)) && ticks < 0x8000 ? us + TURN_US : us;
}

uint32_t hal_now_us() {
  Quiet quiet;
  return now_us();
}

void hal_run() {
  for (;;) {
    const uint32_t now = now_us();
    const uint32_t next_us = hal_earlier(hal_earlier(outputs_run(now), sync_run(now)), pulses_run(now));
    OCR1A = (uint16_t)(next_us << 1);
    if ((int32_t)(next_us - now_us()) > (int32_t)SOON_US) return;
    while ((int32_t)(next_us - now_us()) > 0) {
    }
  }
}

ISR(TIMER1_COMPA_vect) { hal_run(); }

void hal_poll() {}

bool hal_is_free(uint8_t number) {
  return number >= 2 && number < NUM_DIGITAL_PINS &&
         digitalPinToPort(number) != NOT_A_PORT;
}

bool hal_has_pwm(uint8_t number) {
  switch (digitalPinToTimer(number)) {
    case NOT_ON_TIMER:
    case TIMER1A:
    case TIMER1B:
#ifdef TIMER1C
    case TIMER1C:
#endif
      return false;
    default:
      return true;
  }
}

Pin hal_pin(uint8_t number) {
  const uint8_t port = digitalPinToPort(number);
  return {number, portOutputRegister(port), portInputRegister(port),
          digitalPinToBitMask(number)};
}

void hal_write(const Pin &pin, bool high) {
  if (high)
    *pin.out |= pin.mask;
  else
    *pin.out &= ~pin.mask;
}

bool hal_read(const Pin &pin) { return *pin.in & pin.mask; }

void hal_attach(uint8_t line, void (*edge)(), bool rising) {
  const uint8_t before = EIMSK;
  attachInterrupt(line, edge, rising ? RISING : FALLING);
  EIFR = EIMSK & ~before;  // forget an earlier edge of this interrupt
}

const char *hal_name() {
#if defined(ARDUINO_AVR_UNO)
  return "Arduino Uno";
#elif defined(ARDUINO_AVR_NANO)
  return "Arduino Nano";
#elif defined(ARDUINO_AVR_MEGA2560)
  return "Arduino Mega";
#else
  return "AVR board";
#endif
}
#endif
