// Package canary finds secrets where they do not belong. It is for tests.
//
// A [Keeper] is told every secret that is handed out or presented, and sees everything that somebody else may read: logs,
// errors, what is written to a store, answers. When the test ends it searches the one for the other. A secret is found in
// any spelling in which programs repeat what they were given: as it is, escaped for URLs, JSON or Go, in hexadecimal, and
// in base64 at any offset; and by a part that nothing else has, like a piece of a signature.
package canary
