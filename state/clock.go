package state

import "time"

var started = time.Now()
