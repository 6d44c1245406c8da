package canary

import "strings"

// index finds many texts in one pass.
type index struct {
	filter   []bool // by a hash of four bytes: whether anything begins so
	byPrefix map[[prefix]byte][]needle
}

// needle is a spelling of a secret.
type needle struct{ text, what string }

func newIndex() index {
	return index{make([]bool, 1<<20), map[[prefix]byte][]needle{}}
}

func hash(s string) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) * 2654435761 >> 12
}

func (x index) add(text, what string) {
	x.filter[hash(text)] = true
	key := [prefix]byte([]byte(text[:prefix]))
	x.byPrefix[key] = append(x.byPrefix[key], needle{text, what})
}

// search returns what was found, and what stands before it.
func (x index) search(text string) map[string]string {
	found := map[string]string{}
	for i := 0; i+prefix <= len(text) && len(x.byPrefix) > 0; i++ {
		if !x.filter[hash(text[i:])] {
			continue
		}
		for _, n := range x.byPrefix[[prefix]byte([]byte(text[i:i+prefix]))] {
			if strings.HasPrefix(text[i:], n.text) && found[n.what] == "" {
				found[n.what] = text[max(0, i-80):i] + "‹" + n.what + "›"
			}
		}
	}
	return found
}
