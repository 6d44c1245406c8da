package canon

import "math/bits"

// The same byte eight times.
const (
	ones   = 0x0101010101010101
	highs  = 0x80 * ones
	spaces = ' ' * ones
	quotes = '"' * ones
	slants = '\\' * ones
)

// simple returns how many bytes s begins with that are ASCII, no control characters before the space, and neither
// quotation marks nor backslashes: those that stand for themselves in any JSON string. It looks at eight bytes at a time,
// because nearly all texts are simple as a whole.
func simple(s string) int {
	at := 0
	for ; len(s)-at >= 8; at += 8 {
		if odd := special(eight(s[at : at+8])); odd != 0 {
			return at + bits.TrailingZeros64(odd)/8
		}
	}
	for ; at < len(s); at++ {
		if special(spaces-' '+uint64(s[at])) != 0 {
			break
		}
	}
	return at
}

// eight returns the bytes of s, the first in the lowest place.
func eight(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// special marks the bytes that are not simple by their highest bit. A subtraction borrows from the byte above only where
// the one below is marked, so that the lowest mark is right, and there is none where there should be none.
func special(x uint64) uint64 {
	return (x | (x - spaces) | ((x ^ quotes) - ones) | ((x ^ slants) - ones)) & highs
}
