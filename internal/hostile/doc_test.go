// Package hostile attacks the doors through which tokens come in: with the published vectors of Project Wycheproof, and
// with every small change of tokens that are accepted. It has tests only, and is a module of its own because of the
// vectors.
package hostile
