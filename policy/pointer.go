package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPicture is how many columns of a line of an expression a message shows.
const maxPicture = 72

// picture draws the line of the expression that has the byte at offset, and a caret below that byte's character. Of a long
// line it draws a window around it. Each character is drawn as one that prints, and in the columns it takes.
func picture(expression string, offset int) string {
	offset = max(0, min(offset, len(expression)))
	start := strings.LastIndexByte(expression[:offset], '\n') + 1
	line := expression[start:]
	if end := strings.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	before, after := drawn(line[:min(offset-start, len(line))]), drawn(line[min(offset-start, len(line)):])
	if width(before)+width(after) > maxPicture {
		before, after = window(before, after)
	}
	return "  | " + string(before) + string(after) + "\n  | " + strings.Repeat(" ", width(before)) + "^"
}

// window cuts what is left and right of the caret to what fits, and marks where it was cut.
func window(before, after []rune) (left, right []rune) {
	const mark = '…'
	room := maxPicture - min(width(after), maxPicture/2)
	left = before
	for width(left) > room {
		left = left[1:]
	}
	if len(left) < len(before) && len(left) > 0 {
		left = append([]rune{mark}, left[1:]...)
	}
	right = after
	room = maxPicture - width(left)
	for width(right) > room {
		right = right[:len(right)-1]
	}
	if len(right) < len(after) && len(right) > 0 {
		right = append(right[:len(right)-1:len(right)-1], mark)
	}
	return left, right
}

// drawn returns the text as it is drawn: a tab is a space, and what does not print, or has no width of its own, is �.
func drawn(s string) []rune {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		switch {
		case r == '\t':
			r = ' '
		case !unicode.IsPrint(r) || unicode.Is(unicode.M, r):
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	return out
}

func width(text []rune) int {
	n := 0
	for _, r := range text {
		n++
		if unicode.Is(wideRunes, r) {
			n++
		}
	}
	return n
}

// wideRunes are the characters that terminals draw in two columns (Unicode, East Asian Width W and F), by and large.
var wideRunes = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x16fe0, Hi: 0x18cff, Stride: 1}, {Lo: 0x1b000, Hi: 0x1b2ff, Stride: 1}, {Lo: 0x1f300, Hi: 0x1f64f, Stride: 1},
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1}, {Lo: 0x1f900, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}
