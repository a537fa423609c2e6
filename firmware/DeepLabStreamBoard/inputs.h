// The pins that look: licks, levers, beams; each change with the moment when it began.
#pragma once
#include <stdint.h>

#include "protocol.h"

struct Change {
  uint8_t pin, level;
  uint32_t time_us;
};

void inputs_reset();
bool inputs_own(uint8_t pin);
Status inputs_configure(uint8_t pin, bool pulled_up, uint32_t debounce_us);

// Look at all of them; call `tell` for each level that has lasted for its debounce time.
void inputs_poll(void (*tell)(const Change &));
