package jose_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// The vectors of RFC 7520, sections 3.1, 3.3 and 4.1 to 4.3: one text, signed by one person with three algorithms.
const (
	bilbo  = "bilbo.baggins@hobbiton.example"
	advice = "It’s a dangerous business, Frodo, going out your door. You step onto the road, and if you don't keep your " +
		"feet, there’s no knowing where you might be swept off to."
	bilboRSA = `{"kty":"RSA","kid":"` + bilbo + `","use":"sig","e":"AQAB","n":"` +
		"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRB" +
		"SFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD" +
		"1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_" +
		"qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw" + `"}`
	bilboEC = `{"kty":"EC","kid":"` + bilbo + `","use":"sig","crv":"P-521",` +
		`"x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",` +
		`"y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}`
)

// rfc7520 has the key and the signature by algorithm.
var rfc7520 = map[string]struct{ key, signature string }{
	"RS256": {bilboRSA, "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi8" +
		"4wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocS" +
		"adnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJu" +
		"shZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"},
	"PS384": {bilboRSA, "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItl" +
		"lVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0" +
		"TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0" +
		"uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"},
	"ES512": {bilboEC, "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_" +
		"sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"},
}

// What they sign is no JSON object, so none of them is a token here; the signatures verify all the same.
func TestSignaturesOfRFC7520(t *testing.T) {
	for alg, v := range rfc7520 {
		t.Run(alg, func(t *testing.T) {
			set, err := jose.ParseKeySet([]byte(`{"keys":[` + v.key + `]}`))
			require.NoError(t, err)
			found := set.Find(bilbo, alg, "sig")
			require.Len(t, found, 1)

			input := b64.EncodeToString([]byte(`{"alg":"`+alg+`","kid":"`+bilbo+`"}`)) + "." + b64.EncodeToString([]byte(advice))
			raw := input + "." + v.signature
			_, err = front.Parse(raw)
			require.EqualError(t, err, "not an acceptable token: payload: not acceptable JSON: syntax")

			tok := front.Token{Alg: alg, Kid: bilbo, Payload: []byte(advice), SigningInput: []byte(input), Raw: raw}
			tok.Signature, err = b64.DecodeString(v.signature)
			require.NoError(t, err)
			require.NoError(t, jose.Verify(tok, found[0], alg))
			if alg == "RS256" {
				require.True(t, jose.VerifyRaw(alg, found[0].Public, tok.SigningInput, tok.Signature))
			}

			forged := strings.Replace(advice, "Frodo", "Gollum", 1)
			tok.Payload, tok.SigningInput = []byte(forged), []byte(strings.Replace(input, b64.EncodeToString([]byte(advice)), b64.EncodeToString([]byte(forged)), 1))
			tok.Raw = string(tok.SigningInput) + "." + v.signature
			require.ErrorContains(t, jose.Verify(tok, found[0], alg), "does not verify")
		})
	}
}
