#include "pulses.h"

#pragma GCC optimize("O2")  // pulses_run delays the edges of outputs that are due with it

#include "commands.h"
#include "hal.h"
#include "inputs.h"
#include "outputs.h"
#include "sync.h"

const uint32_t IDLE_US = 10000, FIRST_US = 1000, BETWEEN_US = 100;
const uint8_t MOST_COUNTERS = 4, MOST_PULSES = 16, MOST_EDGES = 120;

struct Counter {
  uint8_t pin, line;  // line: number of the interrupt
  uint16_t dead_us;
  uint32_t number, last_us;
  uint8_t edges;      // since the last call of pulses_turn
  bool noisy;
};

static Counter counters[MOST_COUNTERS];
static uint8_t count_;
static NumberedPulse pulses[MOST_PULSES];
static volatile uint8_t first_pulse, pulse_count;

static struct {
  Pin pin;
  volatile bool runs;
  bool high;
  uint32_t number, due_us, width_us;
  uint32_t regular_us, period_us;  // of the next pulse, without dither
  uint16_t rest_ns, period_ns;     // what is below a microsecond
  uint16_t dither_us, random;
} generator;

// Its number is lost only with the connection: later pulses have later numbers.
static void put(uint8_t pin, uint32_t number, uint32_t now_us) {
  if (pulse_count < MOST_PULSES)
    pulses[(first_pulse + pulse_count++) % MOST_PULSES] = {pin, number, now_us};
}

static void count(Counter &counter) {
  const uint32_t now_us = hal_now_us();
  if (++counter.edges == MOST_EDGES) {  // edges alone keep the processor busy
    detachInterrupt(counter.line);
    counter.noisy = true;
  }
  if (counter.number && now_us - counter.last_us < counter.dead_us) return;
  counter.last_us = now_us;
  put(counter.pin, counter.number++, now_us);
}

template <uint8_t N>
static void edge() {
  count(counters[N]);
}
static void (*const EDGES[MOST_COUNTERS])() = {edge<0>, edge<1>, edge<2>, edge<3>};

static void stop_generator() {
  if (generator.runs) hal_write(generator.pin, false);
  generator.runs = generator.high = false;
}

void pulses_reset() {
  for (uint8_t i = 0; i < count_; i++) detachInterrupt(counters[i].line);
  Quiet quiet;
  stop_generator();
  count_ = pulse_count = 0;
}

bool pulses_own(uint8_t pin) {
  for (uint8_t i = 0; i < count_; i++)
    if (counters[i].pin == pin) return true;
  return generator.runs && generator.pin.number == pin;
}

static bool is_taken(uint8_t pin) {
  return !hal_is_free(pin) || outputs_own(pin) || inputs_own(pin) || sync_owns(pin) ||
         pulses_own(pin);
}

Status pulses_count(uint8_t pin, uint8_t side, uint16_t dead_us) {
  if (side == NO_COUNT) {
    for (uint8_t i = 0; i < count_; i++)
      if (counters[i].pin == pin) {
        detachInterrupt(counters[i].line);
        counters[i].pin = 0;  // its place is free after the next HELLO
        return OK;
      }
    return NOT_CONFIGURED;
  }
  if (is_taken(pin) || digitalPinToInterrupt(pin) == NOT_AN_INTERRUPT) return BAD_PIN;
  if (side > FALLING_PULSES) return BAD_VALUE;
  if (count_ == MOST_COUNTERS) return FULL;
  pinMode(pin, INPUT);
  const uint8_t line = digitalPinToInterrupt(pin);
  counters[count_] = {pin, line, dead_us, 0, 0, 0, false};
  Quiet quiet;
  hal_attach(line, EDGES[count_], side == RISING_PULSES);
  count_++;
  return OK;
}

Status pulses_generate(uint8_t pin, uint32_t period_ns, uint32_t width_us,
                       uint16_t dither_us, uint16_t seed) {
  if (period_ns == 0) {
    if (!generator.runs || generator.pin.number != pin) return NOT_CONFIGURED;
    Quiet quiet;
    stop_generator();
    return OK;
  }
  if (generator.runs) return FULL;
  if (is_taken(pin)) return BAD_PIN;
  const uint32_t period_us = period_ns / 1000;
  if (period_us < SHORTEST_PERIOD_US || width_us < SHORTEST_WIDTH_US ||
      width_us > period_us || width_us + dither_us + BETWEEN_US > period_us)
    return BAD_VALUE;
  if (outputs_latched() != NONE) return LATCHED;
  digitalWrite(pin, LOW);
  pinMode(pin, OUTPUT);
  Quiet quiet;
  const uint32_t now_us = hal_now_us();
  generator.pin = hal_pin(pin);
  generator.number = 0;
  generator.high = false;
  generator.width_us = width_us;
  generator.regular_us = generator.due_us = now_us + FIRST_US;
  generator.period_us = period_us;
  generator.rest_ns = 0;
  generator.period_ns = period_ns % 1000;
  generator.dither_us = dither_us;
  generator.random = seed ? seed : 1;
  generator.runs = true;
  hal_run();
  return OK;
}

// Begin a pulse; set when it ends, and when the next one is due.
static void begin_pulse(uint32_t now_us) {
  hal_write(generator.pin, true);
  generator.high = true;
  put(generator.pin.number, generator.number++, now_us);
  generator.due_us += generator.width_us;
  generator.regular_us += generator.period_us;
  generator.rest_ns += generator.period_ns;
  if (generator.rest_ns >= 1000) {
    generator.rest_ns -= 1000;
    generator.regular_us++;
  }
}

static void end_pulse() {
  hal_write(generator.pin, false);
  generator.high = false;
  const bool bit = generator.random & 1;  // a shift register of maximum length
  generator.random >>= 1;
  if (bit) generator.random ^= 0xB400;
  generator.due_us =
      generator.regular_us + ((uint32_t)generator.random * generator.dither_us >> 16);
}

uint32_t pulses_run(uint32_t now_us) {
  if (!generator.runs) return now_us + IDLE_US;
  if (outputs_latched() != NONE || commands_silent(now_us)) {
    stop_generator();
    return now_us + IDLE_US;
  }
  if ((int32_t)(generator.due_us - now_us) > 0) return generator.due_us;
  if (generator.high)
    end_pulse();
  else
    begin_pulse(now_us);
  return generator.due_us;
}

void pulses_turn() {
  for (uint8_t i = 0; i < count_; i++) counters[i].edges = 0;
}

bool pulses_next(NumberedPulse &pulse) {
  {
    Quiet quiet;
    if (pulse_count) {
      pulse = pulses[first_pulse];
      first_pulse = (first_pulse + 1) % MOST_PULSES;
      pulse_count--;
      return true;
    }
  }
  for (uint8_t i = 0; i < count_; i++)
    if (counters[i].noisy) {
      counters[i].noisy = false;
      pulse = {counters[i].pin, TOO_MANY_PULSES, hal_now_us()};
      return true;
    }
  return false;
}
