package suggest

import "strings"

// Edit is one change of a document.
type Edit struct{ Rule, Key, Item, Value string }

// Apply returns the text after the edit.
func (e Edit) Apply(text string) (string, error) {
	out, err := edit{e.Rule, e.Key, e.Item, e.Value}.apply([]byte(text))
	return string(out), err
}

// Unified returns the difference of two texts.
func Unified(file, before, after string) string {
	var b strings.Builder
	unified(&b, file, []byte(before), []byte(after))
	return b.String()
}

// EnoughFor makes a lifetime of an age.
var EnoughFor = enoughFor
