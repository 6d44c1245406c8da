// Package verify is for resource servers: what a resource requires of a token beyond being valid. Whether it is valid at
// all says mint.Verifier, or the boundary's introspection endpoint; ask that first.
package verify
