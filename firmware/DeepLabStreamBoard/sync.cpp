#include "sync.h"

#pragma GCC optimize("O2")  // sync_run delays the edges of outputs that are due with it

#include "commands.h"
#include "hal.h"
#include "outputs.h"
#include "pulses.h"

const uint32_t IDLE_US = 10000, FULL_US = 1000;
const uint32_t PULSE_US = 50000;              // as pyControl's Rsync
const uint32_t WRAP_US = 10000, BAR_US = 30000;  // as the ONE Core's barcodes
const uint8_t BARS = 32, FIRST_BAR = 2, END = FIRST_BAR + BARS;
const uint8_t MOST_EDGES = 16;

struct Edge {
  uint32_t time_us;
  bool high;
};

static Pin pin_;
static volatile uint8_t pattern_;
static uint32_t period_us_, due_us, begin_us;
static uint32_t number_, bits;
static uint32_t random_;
static volatile uint32_t interval_us;  // 0: to be drawn
static uint8_t step;                   // of the pulse, or of the code
static bool high_;
static Edge edges[MOST_EDGES];
static volatile uint8_t first_edge, edge_count;

static void put(bool high, uint32_t now_us) {
  if (high == high_) return;
  high_ = high;
  hal_write(pin_, high);
  edges[(first_edge + edge_count++) % MOST_EDGES] = {now_us, high};
}

static void stop_signal() {
  if (pattern_ != NO_SYNC) hal_write(pin_, false);
  pattern_ = NO_SYNC;
  high_ = false;
}

void sync_reset() {
  Quiet quiet;
  stop_signal();
  edge_count = 0;
}

bool sync_owns(uint8_t pin) { return pattern_ != NO_SYNC && pin_.number == pin; }

// Draw an interval, evenly from 0.1 to 1.9 periods; of flashes, from 0.8 to 1.2.
static void draw(bool flashes) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  const uint32_t tenth_us = period_us_ / 10;
  const uint32_t least_us = tenth_us * (flashes ? 8 : 1),
                 span_us = tenth_us * (flashes ? 4 : 18);
  const uint32_t drawn_us =
      least_us + (((span_us >> 8) * (random_ >> 20)) >> 4) + (random_ & 0x7FF);
  Quiet quiet;
  interval_us = drawn_us;
}

static uint32_t shortest_us(uint8_t pattern) {
  if (pattern == FLASHES) return SHORTEST_FLASHES_US;
  return pattern == BARCODES ? SHORTEST_CODES_US : SHORTEST_SYNC_US;
}

Status sync_start(uint8_t pin, uint8_t pattern, uint32_t first, uint32_t period_us) {
  if (pattern == NO_SYNC) {
    if (!sync_owns(pin)) return NOT_CONFIGURED;
    sync_reset();
    return OK;
  }
  if (pattern_ != NO_SYNC) return FULL;
  if (!hal_is_free(pin) || outputs_own(pin) || inputs_own(pin) || pulses_own(pin))
    return BAD_PIN;
  if (pattern > FLASHES || period_us > LONGEST_SYNC_US || period_us < shortest_us(pattern))
    return BAD_VALUE;
  if (outputs_latched() != NONE) return LATCHED;
  pin_ = hal_pin(pin);
  digitalWrite(pin, LOW);
  pinMode(pin, OUTPUT);
  random_ = first ? first : 1;
  number_ = first;
  period_us_ = period_us;
  step = 0;
  draw(pattern == FLASHES);
  Quiet quiet;
  due_us = begin_us = hal_now_us() + FULL_US;
  pattern_ = pattern;
  hal_run();
  return OK;
}

bool sync_waits() {
  const uint8_t now = pattern_;
  if ((now == RANDOM_PULSES || now == FLASHES) && interval_us == 0) draw(now == FLASHES);
  return edge_count != 0;
}

// Put the level of this step; return its length.
static uint32_t pulse(uint32_t now_us) {
  const bool begins = step == 0;
  if (!begins) {
    put(false, now_us);
    step = 0;
    return begin_us - due_us;
  }
  if (interval_us == 0) return FULL_US;  // loop() has not drawn it yet
  put(true, now_us);
  begin_us = due_us + interval_us;
  interval_us = 0;
  step = 1;
  return pattern_ == FLASHES ? period_us_ / 2 : PULSE_US;
}

static uint32_t code(uint32_t now_us) {
  const uint8_t now = step++;
  if (now == 0) {
    begin_us = due_us + period_us_;
    bits = number_++;
    put(true, now_us);
    return WRAP_US;
  }
  if (now >= FIRST_BAR && now < END) {
    put(bits & 1, now_us);
    bits >>= 1;
    return BAR_US;
  }
  put(now == END + 1, now_us);
  if (now < END + 2) return WRAP_US;
  step = 0;
  return begin_us - due_us;
}

uint32_t sync_run(uint32_t now_us) {
  if (pattern_ == NO_SYNC) return now_us + IDLE_US;
  if (outputs_latched() != NONE || (pattern_ == FLASHES && commands_silent(now_us))) {
    stop_signal();
    return now_us + IDLE_US;
  }
  if ((int32_t)(due_us - now_us) > 0) return due_us;
  if (edge_count == MOST_EDGES)  // no edge that is not reported
    due_us = now_us + FULL_US;
  else
    due_us += pattern_ == BARCODES ? code(now_us) : pulse(now_us);
  return due_us;
}

bool sync_edge(Change &change) {
  Quiet quiet;
  if (edge_count == 0) return false;
  const Edge &edge = edges[first_edge];
  change = {pin_.number, edge.high, edge.time_us};
  first_edge = (first_edge + 1) % MOST_EDGES;
  edge_count--;
  return true;
}
