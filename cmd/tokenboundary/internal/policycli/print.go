package policycli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// say writes text; whoever does not read it is not waited for.
func say(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

// printJSON writes v as JSON for people and programs alike.
func printJSON(w io.Writer, v any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v)
}

// count writes a number of things.
func count(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// more is the line that says how many further ones there are; empty where there are none.
func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("and %d more\n", n)
}

// shown returns a text that is one line and shows exactly what is there.
func shown(s string) string {
	if quoted := strconv.QuoteToASCII(s); quoted[1:len(quoted)-1] != s {
		return quoted
	}
	return s
}
