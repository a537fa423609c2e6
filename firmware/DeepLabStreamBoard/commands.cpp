#include "commands.h"

#include <string.h>

#include "hal.h"
#include "inputs.h"
#include "outputs.h"
#include "pulses.h"
#include "sync.h"

struct Answer {
  uint8_t sequence, status;
  uint32_t time_us;
};

const uint8_t MOST_ANSWERS = 48;
const uint8_t LONGEST_ANSWER = 20;  // bytes on the line
const uint8_t MOST_PULSES_AT_ONCE = 4;  // more would be taken for noise: see pulses_turn

static uint8_t expected;
static bool fault_told;
static volatile uint32_t heard_us;  // when the last command arrived
static Answer answers[MOST_ANSWERS];  // sent when the line is free, without blocking
static uint8_t first_answer, answer_count;

static bool line_is_free() { return Serial.availableForWrite() >= LONGEST_ANSWER; }

static void acknowledge(uint8_t sequence, Status status, uint32_t time_us) {
  if (answer_count == MOST_ANSWERS)
    outputs_latch(OVERFLOW_);
  else
    answers[(first_answer + answer_count++) % MOST_ANSWERS] = {sequence, status, time_us};
}

static void tell_answer() {
  const Answer &answer = answers[first_answer];
  uint8_t payload[6] = {answer.sequence, answer.status};
  put32(payload + 2, answer.time_us);
  frames_send(ACK, payload, sizeof payload);
  first_answer = (first_answer + 1) % MOST_ANSWERS;
  answer_count--;
}

static void fault(Cause why) {
  const uint8_t payload[1] = {why};
  fault_told = true;
  frames_send(FAULT, payload, sizeof payload);
}

static void greet(const Frame &frame) {
  const uint16_t number = frame.length == 3 ? read16(frame.payload + 1) : 0;
  if (number == 0) return;
  outputs_reset();
  inputs_reset();
  sync_reset();
  pulses_reset();
  fault_told = false;
  answer_count = 0;
  frames_session(number);
  uint8_t payload[LONGEST_FRAME - 4] = {PROTOCOL, FIRMWARE_MAJOR, FIRMWARE_MINOR,
                                        MOST_OUTPUTS, MOST_INPUTS};
  put16(payload + 5, number);
  put32(payload + 7, hal_now_us());
  uint8_t size = 11;
  for (const char *letter = hal_name(); *letter && size < sizeof payload; letter++)
    payload[size++] = *letter;
  frames_send(IDENTITY, payload, size);
  // a program with another protocol got IDENTITY; all its commands are refused
  if (frame.payload[0] != PROTOCOL) frames_session(0);
  expected = frame.sequence + 1;
}

static Status configure(const Frame &frame) {
  const uint8_t *payload = frame.payload;
  const uint8_t pin = payload[0], mode = payload[1];
  const uint32_t value = read32(payload + 2);
  const bool acts = mode == DIGITAL_OUT || mode == PWM_OUT;
  if (frame.length != (acts ? 8 : 6)) return UNKNOWN;
  if (acts) return outputs_configure(pin, mode == PWM_OUT, value, read16(payload + 6));
  if (mode != DIGITAL_IN && mode != PULLED_UP_IN) return BAD_VALUE;
  return inputs_configure(pin, mode == PULLED_UP_IN, value);
}

static void tell_state(uint8_t sequence) {
  uint8_t payload[7] = {sequence, outputs_latched(), outputs_high()};
  put32(payload + 3, hal_now_us());
  frames_send(STATE, payload, sizeof payload);
}

void obey(const Frame &frame) {
  if (frame.kind == HELLO) {
    greet(frame);
    return;
  }
  if (frame.sequence != expected) {
    distrust(SEQUENCE);
    return;
  }
  expected++;
  const uint8_t *payload = frame.payload;
  uint32_t time_us = hal_now_us();
  Status status = UNKNOWN;
  {
    Quiet quiet;
    heard_us = time_us;
  }
  if (frame.kind == HEARTBEAT && frame.length == 0) {
    time_us = outputs_beat();
    status = OK;
  } else if (frame.kind == SET && frame.length == 2) {
    status = outputs_set(payload[0], payload[1], time_us);
  } else if (frame.kind == TRAIN && frame.length == 14) {
    status = outputs_train(payload[0], payload[1], read32(payload + 2), read32(payload + 6),
                           read32(payload + 10), time_us);
  } else if (frame.kind == ALL_OFF && frame.length == 0) {
    time_us = outputs_all_off();
    status = OK;
  } else if (frame.kind == CONFIGURE && frame.length >= 6) {
    status = configure(frame);
  } else if (frame.kind == SYNC && frame.length == 10) {
    status = sync_start(payload[0], payload[1], read32(payload + 2), read32(payload + 6));
  } else if (frame.kind == COUNT_PULSES && frame.length == 4) {
    status = pulses_count(payload[0], payload[1], read16(payload + 2));
  } else if (frame.kind == GENERATE && frame.length == 13) {
    status = pulses_generate(payload[0], read32(payload + 1), read32(payload + 5),
                             read16(payload + 9), read16(payload + 11));
  } else if (frame.kind == GET_STATE && frame.length == 0) {
    tell_state(frame.sequence);
    return;
  }
  acknowledge(frame.sequence, status, time_us);
}

bool commands_silent(uint32_t now_us) { return now_us - heard_us > SILENCE_US; }

void distrust(Cause why) {
  if (frames_session() == 0) return;
  outputs_latch(why);
  if (!fault_told) fault(why);
}

static void tell_change(const Change &change) {
  uint8_t payload[6] = {change.pin, change.level};
  put32(payload + 2, change.time_us);
  frames_send(INPUT_CHANGED, payload, sizeof payload);
}

void report() {
  while (line_is_free() && answer_count) tell_answer();
  Event event;
  while (line_is_free() && outputs_event(event)) {
    uint8_t payload[6] = {event.pin, event.cause};
    put32(payload + 2, event.time_us);
    frames_send(WENT_OFF, payload, sizeof payload);
  }
  Change change;
  while (sync_waits() && line_is_free() && sync_edge(change)) tell_change(change);
  NumberedPulse pulse;
  pulses_turn();
  for (uint8_t left = MOST_PULSES_AT_ONCE; left && line_is_free() && pulses_next(pulse); left--) {
    uint8_t payload[9] = {pulse.pin};
    put32(payload + 1, pulse.number);
    put32(payload + 5, pulse.time_us);
    frames_send(PULSE, payload, sizeof payload);
    hal_poll();
  }
  if (outputs_latched() != NONE && frames_session() && !fault_told) fault(outputs_latched());
  if (line_is_free()) inputs_poll(tell_change);
}
