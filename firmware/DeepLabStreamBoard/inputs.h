// Input pins: licks, levers, beams; each change with the time of its start.
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

// Read all of them; call `tell` for each level that has lasted for its debounce time.
void inputs_poll(void (*tell)(const Change &));
