package tokenboundary_test

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// result is what came of it.
type result struct {
	err   error
	no    *tb.Decision // a refusal
	shown string       // what it released, did or shows; empty: nothing
	life  time.Duration
}

// allowed requires that it was.
func (o result) allowed(x *try, shows string) {
	require.NoError(x, o.err)
	if o.no != nil {
		require.Fail(x, "refused", "%+v", o.no)
	}
	require.Equal(x, shows, o.shown)
}

// reply is what a cell expects, and why.
type reply struct {
	code       tb.Code // of a refusal
	param, why string  // a why that ends in "$" is the end of the reason
	err        error   // of an error that is no refusal
	shown      string  // of what is answered, and shows that it is not
	empty      bool    // nothing is shown
	life       time.Duration
	logged     string // of nobody's request
}

func refused(code tb.Code, param, why string) reply { return reply{code: code, param: param, why: why} }
func fails(err error, why string) reply             { return reply{err: err, why: why} }
func shown(what string) reply                       { return reply{shown: what} }
func nobody(cause string) reply                     { return reply{err: tb.ErrUnauthenticated, logged: cause} }
func lives(d time.Duration) reply                   { return reply{life: d} }

var nothing = reply{empty: true}

// is requires this reply, and no other reason for it.
func (a reply) is(x *try, o result) {
	switch {
	case a.life > 0:
		o.allowed(x, x.entry.shows)
		require.LessOrEqual(x, o.life, a.life)
	case a.err != nil:
		require.Nil(x, o.no, "refused: %+v", o.no)
		require.ErrorIs(x, o.err, a.err)
		a.says(x, o.err.Error())
		require.Empty(x, o.shown)
		if a.logged != "" {
			require.Contains(x, x.log.String(), a.logged)
		}
	case a.code != "":
		require.NoError(x, o.err)
		require.NotNil(x, o.no, "it was allowed")
		require.Equal(x, a.code, o.no.Code, "%+v", o.no.Reasons)
		require.Equal(x, a.param, o.no.Parameter)
		require.Empty(x, o.shown)
		a.recorded(x, *o.no)
	default:
		require.NoError(x, o.err)
		require.Nil(x, o.no)
		require.Equal(x, a.shown, o.shown)
	}
}

func (a reply) says(x *try, why string) {
	if end, ok := strings.CutSuffix(a.why, "$"); ok {
		require.True(x, strings.HasSuffix(why, end), "%q does not end in %q", why, end)
		return
	}
	require.Contains(x, why, a.why)
}

// recorded requires that the decision says why, and that its record does.
func (a reply) recorded(x *try, d tb.Decision) {
	require.NotEmpty(x, d.Reasons)
	a.says(x, d.Reasons[len(d.Reasons)-1].Why)
	if d.Deferral != nil { // the request waits: nothing was refused
		return
	}
	r := x.record(d.ID)
	require.Equal(x, lineage.KindDenial, r.Kind)
	require.Equal(x, string(a.code), r.Body.Code)
	a.says(x, r.Body.Reasons[len(r.Body.Reasons)-1].Why)
}
