package jose

import (
	"bytes"
	"math/big"
)

// The lengths of what is largest with P-521: the order of the curve, and a signature in ASN.1.
const (
	maxOrder = 66
	maxDER   = 3 + 2*(2+1+maxOrder)
)

// toDER appends the ASN.1 form of an ECDSA signature, which the standard library verifies (RFC 3279, section 2.2.3). It
// reports whether sig is one: twice as long as the order n of the curve, and 0 < r, s < n (RFC 7518, section 3.4).
func toDER(out, sig []byte, n *big.Int) (der []byte, ok bool) {
	var order, zero [maxOrder]byte
	size := (n.BitLen() + 7) / 8
	if size > maxOrder || len(sig) != 2*size {
		return nil, false
	}
	n.FillBytes(order[:size])
	var room [maxDER]byte
	content := room[:0]
	for _, half := range [][]byte{sig[:size], sig[size:]} {
		if bytes.Equal(half, zero[:size]) || bytes.Compare(half, order[:size]) >= 0 {
			return nil, false
		}
		content = appendInteger(content, half)
	}
	if out = append(out, 0x30); len(content) > 127 { // SEQUENCE
		out = append(out, 0x81)
	}
	return append(append(out, byte(len(content))), content...), true
}

// appendInteger appends a positive number as an INTEGER, in its shortest form.
func appendInteger(out, number []byte) []byte {
	number = bytes.TrimLeft(number, "\x00")
	negative := number[0] >= 0x80 // it would be, without a zero before it
	if out = append(out, 0x02); negative {
		return append(append(out, byte(len(number)+1), 0), number...)
	}
	return append(append(out, byte(len(number))), number...)
}
