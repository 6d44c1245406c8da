//go:build race

package main_test

// race says that the server is to be built with the race detector too.
const race = true
