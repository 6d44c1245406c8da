package tokenboundary_test

import (
	"strings"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// tokenChecks are about what a token is: of the right kind and issuer, signed as it must be, and what its record says.
func tokenChecks() []check {
	const unfit = "not acceptable: "
	says := func(header, claims object) func(*try) {
		return func(x *try) {
			x.req.Subject.Value = x.wire.signed(x.world, x.wire.key, changed(wireHeader, header), changed(x.login("alice"), claims))
		}
	}
	presents := func(raw func(*try) string) func(*try) {
		return func(x *try) {
			if x.req.Grant != "" {
				x.req.Subject.Value = raw(x)
			}
			x.raw = raw(x)
		}
	}
	other := func(x *try) string { // the same token, as one of another kind
		raw := x.raw
		if x.req.Grant != "" {
			raw = x.req.Subject.Value
		}
		_, secret, _ := strings.Cut(raw, "_")
		return "tbx_" + secret
	}
	long := func(*try) string { return strings.Repeat("a", 16<<10+1) }
	none := func(wrong func(*try)) []cell { // what is no token of ours shows nothing and ends nothing
		return []cell{
			{on: on("introspect"), wrong: wrong, want: nothing},
			{on: on("retire", "retire_task"), wrong: wrong, want: shown("active")},
		}
	}
	refreshing := exempt{"its token is opaque, and has a MAC: see token_kind", on("refresh", "deferred", "retire_refresh")}
	handles := exempt{"the host has verified its own token", on("hosted", "host_refresh")}
	roots := exempt{"it presents no token", alone}
	others := exempt{"it is about a record and takes no token", but(verbsAll, "introspect", "retire", "retire_refresh", "retire_task")}
	not := []exempt{settled, refreshing, handles, roots, others}
	typed := func(x *try) string { return x.resigned(object{"typ": "jwt"}) }
	confused := func(x *try) string { return x.resigned(object{"alg": "EdDSA"}) }
	moved := func(x *try) string { return x.reminted(func(c *tb.Claims) { c.Issuer = neighbour }) }
	edit := func(change func(*tb.Claims)) func(*try) string {
		return func(x *try) string { return x.reminted(change) }
	}
	mine := func(why string) reply { return subjectNo(unfit + "mint: not an acceptable token" + why) }
	return []check{
		{"token_kind", append(none(presents(typed)),
			cell{on: fromOurs, wrong: presents(typed), want: mine(": typ is not at+jwt")},
			cell{on: on("login"), wrong: says(object{"typ": "at+jwt"}, nil),
				want: subjectNo("type of token is not accepted here")},
			cell{on: on("refresh"), wrong: presents(other),
				want: refused(tb.CodeInvalidGrant, "refresh_token", "not a refresh token of this boundary")},
			cell{on: on("deferred"), wrong: presents(other),
				want: refused(tb.CodeInvalidGrant, "deferral_code", "not a deferral code of this boundary")},
			cell{on: on("hosted"), wrong: func(x *try) { x.req.Subject.Verified.Lineage = x.task.TaskID },
				want: subjectNo("not the record of a token")},
			cell{on: on("host_refresh"), wrong: func(x *try) { x.req.Subject.Verified.Lineage = x.derived.ID },
				want: refused(tb.CodeInvalidGrant, "refresh_token", "not a refresh token of this boundary")},
			cell{on: on("retire_refresh"), wrong: presents(other),
				want: shown("active")},
			cell{on: on("active"), given: func(x *try) { x.cred = bySecret("ops") }, wrong: func(x *try) { x.id = x.task.TaskID },
				want: nothing},
		), []exempt{settled, roots, {others.why, but(others.on, "active")}}},
		{"credential_kind", []cell{
			{on: exchanges, wrong: func(x *try) { x.req.Subject = bySecret("researcher") },
				want: subjectNo("a client's credential is no token")},
			{on: on("refresh"), wrong: func(x *try) { x.req.Subject.Type = tb.TypeAccessToken },
				want: refused(tb.CodeInvalidGrant, "refresh_token", "not a refresh token of this boundary")},
			{on: on("host_refresh"), wrong: func(x *try) { x.req.Subject.Type = tb.TypeAccessToken },
				want: refused(tb.CodeInvalidGrant, "refresh_token", "not a refresh token of this boundary")},
			{on: on("deferred"), wrong: func(x *try) { x.req.Subject.Type = tb.TypeRefreshToken },
				want: refused(tb.CodeInvalidGrant, "deferral_code", "not a deferral code of this boundary")},
		}, []exempt{settled, noToken, roots}},
		{"token_secret", []cell{
			{on: on("refresh"), wrong: presents(func(x *try) string { return forged(x.own.RefreshValue()) }),
				want: refused(tb.CodeInvalidGrant, "refresh_token", "not a refresh token of this boundary")},
			{on: on("retire_refresh"), wrong: presents(func(x *try) string { return forged(x.own.RefreshValue()) }),
				want: shown("active")},
			{on: on("deferred"), wrong: presents(func(x *try) string { return forged(x.req.Subject.Value) }),
				want: refused(tb.CodeInvalidGrant, "deferral_code", "not a deferral code of this boundary")},
		}, []exempt{settled, roots, handles, others,
			{"it is signed: see token_signature", on(fromOurs, "login", "introspect", "retire", "retire_task")}}},
		{"token_issuer", append(none(presents(moved)),
			cell{on: fromOurs, wrong: presents(moved), want: subjectNo("another issuer")},
			cell{on: on("login"), wrong: says(nil, object{"iss": "https://other.example"}), want: subjectNo("no source")},
		), not},
		{"token_algorithm", append(none(presents(confused)),
			cell{on: fromOurs, wrong: presents(confused), want: mine(": alg is not the key's")},
			cell{on: on("login"), wrong: says(object{"alg": "HS256"}, nil),
				want: subjectNo(unfit + "identity: not an acceptable token: algorithm is not allowed")},
		), not},
		{"token_signature", append(none(presents(func(x *try) string { return forged(x.derived.Value()) })),
			cell{on: fromOurs, wrong: presents(func(x *try) string { return forged(x.derived.Value()) }),
				want: mine(": signature")},
			cell{on: on("login"), wrong: func(x *try) { x.req.Subject.Value = forged(x.req.Subject.Value) },
				want: subjectNo(unfit + "identity: signature does not verify")},
		), not},
		{"token_claims", append(none(presents(edit(func(c *tb.Claims) { c.Scope += " root" }))),
			cell{on: fromOurs, wrong: presents(edit(func(c *tb.Claims) { c.Scope += " root" })),
				want: subjectNo(unfit + "the token differs from its record")},
		), append(not, exempt{"others' claims are what there is", on("login")})},
		{"token_size", []cell{
			{on: fromOurs, wrong: presents(long),
				want: subjectNo(unfit + "tokenboundary: credential not recognised by this source$")},
			{on: on("login"), wrong: presents(long), want: subjectNo(unfit + "credential is empty or too long")},
		}, append(not, exempt{"what is too long is no token of ours: the answer is the same", on("introspect", "retire", "retire_task")})},
		{"audience", []cell{
			{on: on("login"), wrong: says(nil, object{"aud": "https://other.example"}),
				want: subjectNo(unfit + "identity: token is for another audience")},
			{on: on("introspect", "active"), wrong: func(x *try) { x.cred = bySecret("mail") }, want: nothing},
			{on: on("report"), wrong: func(x *try) { x.cred = bySecret("mail") }, want: shown("unknown")},
		}, []exempt{settled, roots, {"being in aud gives no right, and its absence takes none: see delegable", below},
			{"it is not for a resource", but(verbsAll, "introspect", "active", "report")}}},
	}
}

// forged changes the last byte that is not only padding.
func forged(raw string) string {
	b := []byte(raw)
	i := len(b) - 3
	if b[i]++; b[i] == 'Z'+1 || b[i] == 'z'+1 || b[i] == '9'+1 || b[i] == '-'+1 || b[i] == '_'+1 {
		b[i] = 'A'
	}
	return string(b)
}

// reminted is the researcher's token with other claims, signed as well as ours are.
func (x *try) reminted(change func(*tb.Claims)) string {
	c, err := x.cfg.Minter.Verify(x.ctx, x.derived.Value())
	require.NoError(x, err)
	change(&c)
	return x.wire.signed(x.world, x.wire.ours, object{"alg": "ES256", "kid": c.Key, "typ": "at+jwt"}, c)
}

// resigned is the researcher's token with another header, signed by our key.
func (x *try) resigned(header object) string {
	c, err := x.cfg.Minter.Verify(x.ctx, x.derived.Value())
	require.NoError(x, err)
	return x.wire.signed(x.world, x.wire.ours, changed(object{"alg": "ES256", "kid": c.Key, "typ": "at+jwt"}, header), c)
}
