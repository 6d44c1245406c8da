package tokenboundary_test

import (
	"bytes"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// keeping is what a broker keeps for its connection.
func keeping(x *try) { x.keepFor, x.value = "prod", tb.Kept{Value: []byte("sealed")} }

// keeps has the broker keep it.
func (x *try) keeps() {
	_, err := x.Keep(x.ctx, x.clients["crm"], x.keepFor, x.value)
	require.NoError(x, err)
}

func (x *try) keep(by tb.Client) (string, error) {
	k, err := x.Keep(x.ctx, by, x.keepFor, x.value)
	return showing(k.Version == x.value.Version+1, "kept"), err
}

func (x *try) readKept(by tb.Client) (string, error) {
	k, err := x.Kept(x.ctx, by, x.keepFor)
	return showing(bytes.Equal(k.Value, x.value.Value), "kept"), err
}

// keptChecks are about what brokers keep.
func keptChecks() []check {
	only := func(why string, names ...string) []exempt { return []exempt{{why, but(everywhere, names...)}} }
	keep := only("it keeps nothing", "keep")
	return []check{
		{"kept_connection", []cell{{on: on("keep", "kept"), wrong: func(x *try) { x.keepFor = "side" },
			want: fails(tb.ErrForbidden, "")}}, only("it keeps nothing for a connection", "keep", "kept")},
		{"kept_size", []cell{{on: on("keep"), wrong: func(x *try) { x.value.Value = make([]byte, 16<<10+1) },
			want: fails(tb.ErrInvalid, "more than is kept")}}, keep},
		{"kept_version", []cell{{on: on("keep"), wrong: (*try).keeps,
			want: fails(tb.ErrConflict, "something else is kept")}}, keep},
	}
}

// keeper has another broker ask, of a connection of the same name.
func keeper(id string) func(*try) {
	return func(x *try) {
		x.registered(id, func(c *tb.Client) { c.Connections = []string{x.keepFor} })
		x.cred = bySecret(id)
	}
}
