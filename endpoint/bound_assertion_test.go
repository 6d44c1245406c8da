package endpoint_test

import (
	"net/http"
	"net/url"
	"strings"
)

// room is what fits into an assertion besides what must be in it, with a short and with the longest signature.
const (
	room    = 5800
	rsaRoom = 4850
)

// assertions are client assertions that cost as much as their sender can make them. A client that has registered keys of
// its own chose them; which of them are tried, and how often, is up to the sender.
var assertions = map[string]string{
	"dots":                  fill(64<<10, "."),
	"three long segments":   fill(maxToken/3, "e") + "." + fill(maxToken/3, "e") + "." + fill(maxToken/3, "e"),
	"a huge kid":            forged(`{"alg":"ES256","kid":"`+fill(11<<10, "k")+`"}`, "honest", "", 64),
	"a huge header":         forged("{"+numbered(11<<10, maxToken, `"%x":""`, ",")+"}", "honest", "", 64),
	"a nested header":       forged(fill(11<<10, `{"alg":`), "honest", "", 64),
	"a key of its own":      forged(`{"alg":"ES256","jwk":`+string(keysOnce().sets["rsa-8192"])+`}`, "honest", "", 64),
	"an unknown kid":        forged(`{"alg":"ES256","kid":"x"}`, "honest", "", 64),
	"an unknown kid, far":   forged(`{"alg":"ES256","kid":"x"}`, "remote", "", 64),
	"an unknown client":     forged(`{"alg":"ES256","kid":"x"}`, "nobody-at-all", "", 64),
	"of a client by secret": forged(`{"alg":"ES256","kid":"x"}`, "ops", "", 64),
	"ES256":                 forged(`{"alg":"ES256","kid":"honest"}`, "honest", "", 64),
	"ES384":                 forged(`{"alg":"ES384","kid":"k"}`, "es384", "", 96),
	"ES512":                 forged(`{"alg":"ES512","kid":"k"}`, "es512", "", 132),
	"RSA-4096":              forged(`{"alg":"RS256","kid":"k"}`, "rsa-4096", "", 512),
	"RSA-8192":              forged(`{"alg":"RS256","kid":"k"}`, "rsa-8192", "", 1024),
	"RSA-8192, PSS":         forged(`{"alg":"PS512","kid":"k"}`, "rsa-8192", "", 1024),
	"RSA, the largest":      forged(`{"alg":"RS256","kid":"k"}`, "rsa-exponent", "", 1024),
	"RSA, short signature":  forged(`{"alg":"RS256","kid":"k"}`, "rsa-exponent", "", 1),
	"any of two RSA keys":   forged(`{"alg":"RS256"}`, "two-rsa", "", 1024),
	"any of many RSA keys":  forged(`{"alg":"RS256"}`, "many-rsa", "", 1024),
	"any of three EC keys":  forged(`{"alg":"ES512"}`, "three-es512", "", 132),
	"any of many EC keys":   forged(`{"alg":"ES384"}`, "many-es384", "", 96),
	"RSA, long payload":     forged(`{"alg":"RS256","kid":"k"}`, "rsa-exponent", `,"a":"`+fill(rsaRoom, "x")+`"`, 1024),
	"RSA, any, long":        forged(`{"alg":"RS256"}`, "two-rsa", `,"a":"`+fill(rsaRoom, "x")+`"`, 1024),
	"members":               forged(`{"alg":"ES256"}`, "honest", ","+numbered(room, maxToken, `"%x":0`, ","), 64),
	"nested members":        forged(`{"alg":"ES256"}`, "honest", `,"a":`+strings.Repeat(`{"a":`, 30)+`"`+fill(room-200, "x")+`"`+strings.Repeat("}", 30), 64),
	"nested too deeply":     forged(`{"alg":"ES256"}`, "honest", `,"a":`+fill(room, "["), 64),
	"a list":                forged(`{"alg":"ES256"}`, "honest", `,"a":[0`+fill(room, ",0")+`]`, 64),
	"a list of lists":       forged(`{"alg":"ES256"}`, "honest", `,"a":[[]`+fill(room, ",[]")+`]`, 64),
	"strings":               forged(`{"alg":"ES256"}`, "honest", `,"amr":[""`+fill(room, `,""`)+`]`, 64),
	"string escapes":        forged(`{"alg":"ES256"}`, "honest", `,"a":"`+fill(room, `\u0041`)+`"`, 64),
	"a long number":         forged(`{"alg":"ES256"}`, "honest", `,"a":`+fill(room, "9"), 64),
	"a huge client":         forged(`{"alg":"ES256"}`, fill(room/2, "c"), "", 64),
	"one byte too long":     forged(`{"alg":"ES256","kid":"honest"}`, "honest", `,"a":"`+fill(room+200, "x")+`"`, 64),
}

// asserted returns the inputs that present them: in a form, and as a bearer.
func asserted() []input {
	var out []input
	for name, a := range assertions {
		present := func(r *http.Request) {
			if r.Header.Get("Content-Type") == formType {
				body(asserts(a))(r)
			} else {
				header("Authorization", "Bearer "+a)(r)
			}
		}
		out = append(out, input{"assertion: " + name, present, nobody, nobody, false})
	}
	return out
}

// guesses come with a secret that is wrong: what is guessed is never looked at.
var guesses = []input{
	{"a guessed refresh token", guess("grant_type=refresh_token&refresh_token=tbr_" + fill(118, "A")), nobody, nobody, false},
	{"a guessed deferral code", guess("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adeferred&deferral_code=tbd_" + fill(86, "A")), nobody, nobody, false},
	{"a guessed subject token", guess("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token_type=" +
		"urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token=" + assertions["RSA, a huge exponent"]), nobody, nobody, false},
	{"a guessed token", guess("token=" + assertions["RSA-8192"]), nobody, nobody, false},
	{"a guess at garbage", guess("token=" + fill(maxBody-10, ".")), nobody, nobody, false},
	{"details, nested", detailed(fill(32<<10, "[")), nobody, nobody, false},
	{"details, nested objects", detailed("[" + strings.Repeat(`{"type":`, 30) + `"` + fill(32000, "x") + `"` + strings.Repeat("}", 30) + "]"), nobody, nobody, false},
	{"details, as many as there can be", detailed("[" + numbered(32000, 128, `{"type":"t%x",`+numbered(200, 3, `"%x":"`+fill(50, "x")+`"`, ",")+"}", ",") + "]"), nobody, nobody, false},
	{"details, many", detailed("[" + numbered(32000, 1024, `{"type":"t%x"}`, ",") + "]"), nobody, nobody, false},
	{"details, too many", detailed("[" + numbered(32000, maxBody, `{"type":"t%x"}`, ",") + "]"), nobody, nobody, false},
	{"details, many members", detailed(`[{"type":"t",` + numbered(32000, 500, `"%x":"`+fill(50, "x")+`"`, ",") + "}]"), nobody, nobody, false},
	{"details, a list", detailed(`[{"type":"t","list":[0` + fill(32000, ",0") + "]}]"), nobody, nobody, false},
	{"details, escapes", detailed(`[{"type":"t","text":"` + fill(32000, `\u0041`) + `"}]`), nobody, nobody, false},
	{"a task's context", detailed(`[{"type":"task","purpose":"p","context":{` + numbered(32000, 500, `"%x":"`+fill(50, "x")+`"`, ",") + "}}]"), nobody, nobody, false},
	{"details, too many members", detailed(`[{"type":"t",` + numbered(32000, maxBody, `"%x":0`, ",") + "}]"), nobody, nobody, false},
	{"a task's authority", detailed(`[{"type":"task","purpose":"p","authority":[` + numbered(32000, 16,
		`{"resource":"https://%x.example/","scopes":["s`+strings.Repeat(`","s`, 127)+`"]}`, ",") + "]}]"), nobody, nobody, false},
	{"everything at once", everything, nobody, nobody, false},
	{"many scopes", guess("grant_type=client_credentials&scope=" + fill(maxBody-100, "s+")), nobody, nobody, false},
	{"as many scopes as there can be", guess("grant_type=client_credentials&scope=" + numbered(maxBody, 128, "%03x"+strings.Repeat("s", 253), "+")), nobody, nobody, false},
}

// detailed asks for details.
func detailed(details string) func(*http.Request) {
	return guess("grant_type=client_credentials&authorization_details=" + url.QueryEscape(details))
}

// everything is the largest body with the most that can be read of it, beside the longest secret.
func everything(r *http.Request) {
	text := "grant_type=client_credentials&authorization_details=" + url.QueryEscape(`[{"type":"task","purpose":"p","context":{`+
		numbered(18_000, 470, `"%x":"`+fill(28, "x")+`"`, ",")+`},"authority":[`+numbered(32000, 16,
		`{"resource":"https://%x.example/","scopes":["s`+strings.Repeat(`","s`, 127)+`"]}`, ",")+`]}]`) + "&scope=" + numbered(maxBody, 128, "%03x"+strings.Repeat("s", 253), "+")
	body(text + "&a=" + fill(maxBody-len(text)-3, "+"))(r)
	basicHeader("ops:" + fill(17<<10, "%25"))(r)
}

func guess(text string) func(*http.Request) { return both(body(text), basicHeader("ops:wrong")) }
