#include "outputs.h"

#pragma GCC optimize("O2")  // outputs_run determines the delay of an edge

#include "hal.h"
#include "inputs.h"
#include "pulses.h"
#include "sync.h"

const uint32_t IDLE_US = 10000;
const uint32_t START_US = 60;
const uint8_t MOST_EVENTS = 16;

struct Output {
  Pin pin;
  bool pwm;
  uint32_t longest_on_us;
  uint8_t level;      // 0: off
  bool high;
  uint32_t limit_us;  // end of the maximum on-time
  uint32_t left;      // remaining pulses
  uint32_t width_us, gap_us;
  uint32_t edge_us;   // next edge of a train
  bool train;
  uint32_t next_us;   // limit or edge, whichever is first
};

static Output outputs[MOST_OUTPUTS];
static uint8_t count_;
static uint32_t beat_us, watchdog_us;
static volatile Cause latched = GARBLED;  // nothing goes on before the first HELLO
static Event events[MOST_EVENTS];
static volatile uint8_t first_event, event_count;

static bool due(uint32_t at_us, uint32_t now_us) { return (int32_t)(now_us - at_us) >= 0; }

static void drive(Output &output, bool high) {
  output.high = high;
  if (output.pwm)
    analogWrite(output.pin.number, high ? output.level : 0);
  else
    hal_write(output.pin, high);
}

static void plan(Output &output) {
  const bool edge = output.train && !due(output.limit_us, output.edge_us);
  output.next_us = edge ? output.edge_us : output.limit_us;
}

static void stop(Output &output) {
  drive(output, false);
  output.level = 0;
  output.train = false;
}

static void tell(const Output &output, Cause cause, uint32_t time_us) {
  if (event_count == MOST_EVENTS) {
    latched = OVERFLOW_;  // outputs_run switches all off
    return;
  }
  events[(first_event + event_count++) % MOST_EVENTS] = {output.pin.number, cause, time_us};
}

static bool any_on() {
  for (uint8_t i = 0; i < count_; i++)
    if (outputs[i].level) return true;
  return false;
}

static Output *find(uint8_t pin) {
  for (uint8_t i = 0; i < count_; i++)
    if (outputs[i].pin.number == pin) return &outputs[i];
  return nullptr;
}

bool outputs_own(uint8_t pin) { return find(pin) != nullptr; }

void outputs_reset() {
  Quiet quiet;
  for (uint8_t i = 0; i < count_; i++) stop(outputs[i]);
  count_ = 0;
  event_count = 0;
  watchdog_us = LONGEST_WATCHDOG_MS * 1000UL;
  latched = NONE;
  hal_run();
}

Status outputs_configure(uint8_t number, bool pwm, uint32_t longest_on_us,
                         uint16_t watchdog_ms) {
  if (!hal_is_free(number) || inputs_own(number) || sync_owns(number) || pulses_own(number))
    return BAD_PIN;
  if (pwm && !hal_has_pwm(number)) return NO_PWM;
  if (longest_on_us == 0 || longest_on_us > LONGEST_ON_US ||
      watchdog_ms < SHORTEST_WATCHDOG_MS || watchdog_ms > LONGEST_WATCHDOG_MS)
    return BAD_VALUE;
  Output *output = find(number);
  if (!output && count_ == MOST_OUTPUTS) return FULL;
  Quiet quiet;
  if (output)
    stop(*output);
  else
    output = &outputs[count_];
  *output = Output();
  output->pin = hal_pin(number);
  output->pwm = pwm;
  output->longest_on_us = longest_on_us;
  digitalWrite(number, LOW);
  pinMode(number, OUTPUT);
  stop(*output);
  if (output == &outputs[count_]) count_++;
  watchdog_us = min(watchdog_us, watchdog_ms * 1000UL);
  return OK;
}

// Start `output` in the on state.
static void begin(Output &output, uint8_t level, uint32_t now_us) {
  if (!any_on()) beat_us = now_us;
  if (!output.level) output.limit_us = now_us + output.longest_on_us;
  output.level = level;
}

Status outputs_set(uint8_t pin, uint8_t level, uint32_t &time_us) {
  Quiet quiet;
  Output *output = find(pin);
  if (!output) return NOT_CONFIGURED;
  if (level && latched != NONE) return LATCHED;
  time_us = hal_now_us();
  if (level == 0) {
    stop(*output);
    return OK;
  }
  begin(*output, level, time_us);
  output->train = false;
  plan(*output);
  drive(*output, true);
  hal_run();
  return OK;
}

Status outputs_train(uint8_t pin, uint8_t level, uint32_t width_us, uint32_t period_us,
                     uint32_t count, uint32_t &time_us) {
  Quiet quiet;
  Output *output = find(pin);
  if (!output) return NOT_CONFIGURED;
  if (latched != NONE) return LATCHED;
  const bool one = count == 1;
  if (level == 0 || count == 0 || width_us < SHORTEST_WIDTH_US ||
      width_us > LONGEST_ON_US || period_us > LONGEST_ON_US ||
      (!one && (period_us < SHORTEST_PERIOD_US || period_us <= width_us ||
                period_us - width_us < SHORTEST_WIDTH_US)))
    return BAD_VALUE;
  time_us = hal_now_us() + START_US;  // the first edge is handled like all others
  begin(*output, level, time_us);
  output->train = true;
  output->width_us = width_us;
  output->gap_us = one ? 0 : period_us - width_us;
  output->left = count;
  output->edge_us = time_us;
  if (output->high) drive(*output, false);
  plan(*output);
  hal_run();
  return OK;
}

uint32_t outputs_all_off() {
  Quiet quiet;
  for (uint8_t i = 0; i < count_; i++) stop(outputs[i]);
  return hal_now_us();
}

uint32_t outputs_beat() {
  Quiet quiet;
  beat_us = hal_now_us();
  return beat_us;
}

void outputs_latch(Cause why) {
  Quiet quiet;
  for (uint8_t i = 0; i < count_; i++) stop(outputs[i]);
  if (latched == NONE) latched = why;
}

Cause outputs_latched() { return latched; }

uint8_t outputs_high() {
  uint8_t high = 0;
  for (uint8_t i = 0; i < count_; i++)
    if (hal_read(hal_pin(outputs[i].pin.number))) high |= 1 << i;
  return high;
}

bool outputs_event(Event &event) {
  Quiet quiet;
  if (event_count == 0) return false;
  event = events[first_event];
  first_event = (first_event + 1) % MOST_EVENTS;
  event_count--;
  return true;
}

// Do what is due for an output that is on.
static void happen(Output &output, uint32_t now_us) {
  if (!output.train || output.next_us != output.edge_us) {
    stop(output);
    tell(output, LIMIT, now_us);
  } else if (!output.high) {
    drive(output, true);
    output.left--;
    output.edge_us += output.width_us;
    plan(output);
  } else if (output.left) {
    drive(output, false);
    output.edge_us += output.gap_us;
    plan(output);
  } else {
    stop(output);
    tell(output, TRAIN_END, output.edge_us);
  }
}

uint32_t outputs_run(uint32_t now_us) {
  int32_t wait_us = IDLE_US;
  bool on = false;
  for (Output *output = outputs; output < outputs + count_; output++) {
    if (!output->level) continue;
    int32_t left_us = output->next_us - now_us;
    if (left_us <= 0) {
      happen(*output, now_us);
      if (!output->level) continue;
      left_us = output->next_us - now_us;
    }
    on = true;
    if (left_us < wait_us) wait_us = left_us;
  }
  if (!on) return now_us + IDLE_US;
  int32_t left_us = beat_us + watchdog_us - now_us;
  if (left_us <= 0) latched = WATCHDOG;
  if (latched != NONE) {
    for (uint8_t i = 0; i < count_; i++) {
      if (!outputs[i].level) continue;
      stop(outputs[i]);
      if (latched != OVERFLOW_) tell(outputs[i], latched, now_us);
    }
    return now_us + IDLE_US;
  }
  if (left_us < wait_us) wait_us = left_us;
  return now_us + (wait_us > 0 ? wait_us : 0);
}
