//go:build !race

package main

import "time"

// endLimit is how long run may take to end.
const endLimit = 2 * time.Second
