// Package crash ends processes and connections in the middle of what they do, and looks at what is left. A child process
// runs a script of operations on a real Governor over a real store; it is killed at one of its writes, what it had written
// and not synced is lost, kept or torn, and whatever it had answered before must be true afterwards, whole and for good.
//
// It has tests only, and is a module of its own because it needs a database driver.
package crash
