//go:build race

package main

import "time"

// endLimit leaves time for the race detector: on a busy machine the end was at 2 s with it.
const endLimit = 20 * time.Second
