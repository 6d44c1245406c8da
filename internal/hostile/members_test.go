package hostile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	notAllowed = `not (a string|allowed)|more members`
	kidReason  = `no such key|names no key|member that is not allowed in a proof`
)

var headers = []edit{
	{"crit", first(`"crit":["exp"]`), notAllowed, ""},
	{"crit, empty", first(`"crit":[]`), notAllowed, ""},
	{"crit behind", last(`"crit":["b64"],"b64":false`), notAllowed, ""},
	{"b64", first(`"b64":false`), notAllowed, ""},
	{"jwk", first(`"jwk":{"kty":"EC"}`), notAllowed, duplicate},
	{"jwk null", first(`"jwk":null`), notAllowed, duplicate},
	{"jku", first(`"jku":"https://evil.example/jwks.json"`), notAllowed, ""},
	{"x5u", first(`"x5u":"https://evil.example/cert.pem"`), notAllowed, ""},
	{"x5c", first(`"x5c":["AAAA"]`), notAllowed, ""},
	{"zip", first(`"zip":"DEF"`), notAllowed, ""},
	{"enc", first(`"enc":"A128GCM"`), notAllowed, ""},
	{"epk", first(`"epk":{}`), notAllowed, ""},
	{"cty", first(`"cty":"JWT"`), notAllowed, ""},
	{"a claim", first(`"iss":"https://idp.example"`), notAllowed, ""},
	{"exp", first(`"exp":9999999999`), notAllowed, ""},
	{"nonce", first(`"nonce":"a"`), notAllowed, ""},
	{"ppt", first(`"ppt":"shaken"`), notAllowed, ""},
	{"empty name", first(`"":"a"`), notAllowed, ""},
	{"many members", first(`"a":"1","b":"2","c":"3","d":"4","e":"5","f":"6"`), notAllowed, ""},
	{"Alg beside alg", first(`"Alg":"none"`), notAllowed, ""},
	{"ALG beside alg", last(`"ALG":"HS256"`), notAllowed, ""},
	{"only Alg", swap(`"alg"`, `"Alg"`), notAllowed, ""},
	{"alg in full width", first(`"\uff41lg":"none"`), notAllowed, ""},
	{"alg of no-break space", first(`"alg\u00a0":"none"`), notAllowed, ""},
	{"Kid beside kid", first(`"Kid":"ES256"`), notAllowed, ""},
	{"kid with Kelvin sign", first(`"\u212aid":"ES256"`), notAllowed, ""},
	{"Typ beside typ", first(`"Typ":"JWT"`), notAllowed, ""},
	{"x5t of a list", first(`"x5t":["a"]`), "not a string", "not allowed in a proof"},
	{"x5t", first(`"x5t":"AAAA"`), "", "not allowed in a proof"},

	{"kid of another key", swap(`"kid":"ES256"`, `"kid":"EdDSA"`), kidReason, ""},
	{"kid in lower case", swap(`"kid":"E`, `"kid":"e`), kidReason, ""},
	{"kid with a space", swap(`"kid":"E`, `"kid":" E`), kidReason, ""},
	{"kid of a path", swap(`"kid":"E`, `"kid":"../E`), kidReason, ""},
	{"kid for a database", swap(`"kid":"E`, `"kid":"' OR 1=1 --E`), kidReason, ""},
	{"kid with NUL", swap(`"kid":"E`, `"kid":"\u0000E`), "unusable value", ""},
	{"kid too long", swap(`"kid":"E`, `"kid":"`+strings.Repeat("k", 513)+`E`), "unusable value", ""},
	{"kid empty", swap(`"kid":"ES256"`, `"kid":""`), "unusable value", ""},
	{"kid a number", swap(`"kid":"ES256"`, `"kid":256`), "not a string", ""},
	{"kid null", swap(`"kid":"ES256"`, `"kid":null`), "not a string", ""},
	{"kid added to a proof", func(s string) string {
		if strings.Contains(s, `"jwk"`) {
			return first(`"kid":"ES256"`)(s)
		}
		return s
	}, "", "not allowed in a proof"},
	{"kid escaped", swap(`"kid":"ES256"`, `"kid":"\u0045S256"`), "", ""},
	{"name escaped", swap(`"alg"`, `"\u0061lg"`), "", "same"},

	{"typ in capitals", swap(`"typ":"J`, `"typ":"j`), "", ""},
	{"typ in full", swap(`"typ":"JWT"`, `"typ":"application/jwt"`), "", ""},
	{"typ in full, capitals", swap(`"typ":"JWT"`, `"typ":"APPLICATION/JWT"`), "", ""},
	{"typ absent", swap(`,"typ":"JWT"`, ``), "", ""},
	{"typ of a proof", swap(`"typ":"JWT"`, `"typ":"dpop+jwt"`), "type", ""},
	{"typ of our tokens", swap(`"typ":"JWT"`, `"typ":"at+jwt"`), "type", ""},
	{"typ of an event", swap(`"typ":"JWT"`, `"typ":"secevent+jwt"`), "type", ""},
	{"typ of an assertion", swap(`"typ":"JWT"`, `"typ":"client-authentication+jwt"`), "type", ""},
	{"typ with a parameter", swap(`"typ":"JWT"`, `"typ":"JWT;v=1"`), "type", ""},
	{"typ with a space", swap(`"typ":"JWT"`, `"typ":" JWT"`), "not ASCII", ""},
	{"typ of a list", swap(`"typ":"JWT"`, `"typ":["JWT"]`), "not a string", ""},
	{"typ of a proof in capitals", swap(`"dpop+jwt"`, `"DPoP+JWT"`), "", `typ is not dpop\+jwt`},
	{"typ of a proof in full", swap(`"dpop+jwt"`, `"application/dpop+jwt"`), "", `typ is not dpop\+jwt`},
	{"typ of a proof, plain", swap(`"dpop+jwt"`, `"JWT"`), "", `typ is not dpop\+jwt`},
}

func TestHostileHeaders(t *testing.T) {
	all := doors(t)
	for _, e := range headers {
		check(t, all, e, ofHeader)
	}
	for _, value := range []string{`"none"`, `"None"`, `"nOnE"`, `"HS256"`, `"HS512"`, `"es256"`, `"ES256 "`, `"ES256K"`, `"RSA-OAEP"`, `"dir"`} {
		check(t, all, edit{"alg " + value, swap(`"alg":"ES256"`, `"alg":`+value), "algorithm is not allowed", ""}, ofHeader)
	}
	for _, value := range []string{`null`, `0`, `{}`, `["ES256"]`, `true`} {
		check(t, all, edit{"alg " + value, swap(`"alg":"ES256"`, `"alg":`+value), "not a string", ""}, ofHeader)
	}
	for _, alg := range []string{"ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		const why = "no such key|algorithm is not|cannot verify"
		check(t, all, edit{"alg " + alg, swap(`"alg":"ES256"`, `"alg":"`+alg+`"`), why, ""}, ofHeader)
	}
}

var payloads = []edit{
	{"unknown member", first(`"admin":true`), "", "same"},
	{"member in another case", again(titled, last), "", "same"},
	{"member in capitals", again(upper, first), "", "same"},
	{"member that folds to another", last(`"\u017fub":"mallory"`), "", "same"},
	{"member with NUL", last(`"sub\u0000":"mallory"`), "", "same"},
	{"member with a space", last(`" sub":"mallory"`), "", "same"},
	{"__proto__", last(`"__proto__":{"sub":"mallory"}`), "", "same"},
	{"two of a nested member", last(`"x":{"sub":"alice","sub":"mallory"}`), duplicate, ""},
	{"two in a list", last(`"x":[{"a":1,"\u0061":2}]`), duplicate, ""},
	{"name escaped", swap(`"sub"`, `"\u0073ub"`), "", "same"},
	{"value escaped", swap(`"alice"`, `"\u0061lice"`), "", "same"},
	{"huge number", last(`"x":1e999999999`), "number too large", ""},
	{"long number", last(`"x":` + strings.Repeat("9", 5000)), "number too large", ""},
	{"exp as a fraction", swap(`"exp":17`, `"exp":017`), syntax, ""},
	{"exp huge", swap(`"exp":`, `"exp":1e30,"x":`), "exp is not a time", "same"},
	{"exp negative", swap(`"exp":`, `"exp":-`), "exp is not a time", ""},
	{"exp a string", swap(`"exp":`, `"exp":"1",""`+`:`), "exp is not a time", ""},
	{"exp null", swap(`"exp":`, `"exp":null,"x":`), "exp is not a time", ""},
	{"Exp only", swap(`"exp"`, `"Exp"`), "exp is missing", ""},
	{"sub null", swap(`"sub":"`, `"sub":null,"x":"`), "sub|trust domain", ""},
	{"sub a list", swap(`"sub":"`, `"sub":["mallory"],"x":"`), "sub|trust domain", ""},
	{"sub with NUL", swap(`"sub":"`, `"sub":"\u0000`), "sub|trust domain", ""},
	{"aud null", swap(`"aud":`, `"aud":null,"x":`), "aud", ""},
	{"aud in capitals", swap(`"aud":"https://b`, `"aud":"HTTPS://b`), "another audience", ""},
	{"htm in lower case", swap(`"POST"`, `"post"`), "", "another method"},
	{"htu of another host", swap(boundary+`/token`, `https://evil.example/token`), "", "another URL"},
}

// What is signed is read by exact names; a member that a lenient reader would take for another one changes nothing.
func TestHostilePayloads(t *testing.T) {
	all := doors(t)
	for _, e := range payloads {
		check(t, all, e, ofPayload)
	}
}

// A token is accepted at the doors of its kind, and at no other.
func TestNoKindOfTokenPassesForAnother(t *testing.T) {
	kind := func(d door) string {
		name, _, _ := strings.Cut(strings.ReplaceAll(d.name, "verifier of a resource", "minted"), " ")
		return name
	}
	all, kinds := doors(t), map[string]bool{}
	for _, d := range all {
		for _, other := range all {
			if kind(d) == kind(other) {
				continue
			}
			kinds[kind(d)] = true
			_, err := d.open(other.token())
			require.Error(t, err, "%s as %s", other.name, d.name)
			require.Contains(t, []string{form, header, key, claims}, classOf(t, err), "%v", err)
		}
	}
	require.Len(t, kinds, 6)
}
