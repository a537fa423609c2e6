#include "inputs.h"

#include "hal.h"
#include "outputs.h"
#include "pulses.h"
#include "sync.h"

struct Input {
  Pin pin;
  uint32_t debounce_us;
  uint32_t since_us;  // when it started to differ from the reported level
  bool told, differs;
};

static Input inputs[MOST_INPUTS];
static uint8_t count_;
static bool fresh[MOST_INPUTS];  // its first level is not reported yet

const uint32_t LONGEST_DEBOUNCE_US = 1000000;

void inputs_reset() { count_ = 0; }

bool inputs_own(uint8_t pin) {
  for (uint8_t i = 0; i < count_; i++)
    if (inputs[i].pin.number == pin) return true;
  return false;
}

Status inputs_configure(uint8_t number, bool pulled_up, uint32_t debounce_us) {
  if (!hal_is_free(number) || outputs_own(number) || inputs_own(number) ||
      sync_owns(number) || pulses_own(number))
    return BAD_PIN;
  if (debounce_us > LONGEST_DEBOUNCE_US) return BAD_VALUE;
  if (count_ == MOST_INPUTS) return FULL;
  pinMode(number, pulled_up ? INPUT_PULLUP : INPUT);
  inputs[count_] = {hal_pin(number), debounce_us, 0, false, false};
  fresh[count_++] = true;
  return OK;
}

void inputs_poll(void (*tell)(const Change &)) {
  for (uint8_t i = 0; i < count_; i++) {
    Input &input = inputs[i];
    const bool level = hal_read(input.pin);
    const uint32_t now_us = hal_now_us();
    if (fresh[i]) {
      fresh[i] = false;
      input.told = level;
      tell({input.pin.number, level, now_us});
    } else if (level == input.told) {
      input.differs = false;
    } else {
      if (!input.differs) {
        input.differs = true;
        input.since_us = now_us;
      }
      if (now_us - input.since_us >= input.debounce_us) {
        input.told = level;
        input.differs = false;
        tell({input.pin.number, level, input.since_us});
      }
    }
  }
}
