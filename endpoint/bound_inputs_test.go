package endpoint_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	maxBody   = 256 << 10
	maxToken  = 16 << 10
	maxHeader = 1 << 20 // what net/http lets through if nobody says otherwise
)

// longSecret is as long as a secret can be.
var longSecret = strings.Repeat("s", maxToken-2) + ":%"

// want is how a request is refused.
type want struct {
	status int
	code   string
}

var (
	nobody    = want{http.StatusUnauthorized, "invalid_client"}
	unclear   = want{http.StatusBadRequest, "invalid_request"}
	tooLarge  = want{http.StatusRequestEntityTooLarge, "invalid_request"}
	nowhere   = want{http.StatusNotFound, "invalid_request"}
	wrongVerb = want{http.StatusMethodNotAllowed, "invalid_request"}
)

// input is something that anybody can send to any endpoint, and how the endpoints that take a form and those that do not
// refuse it. What is for everybody answers it as ever.
type input struct {
	name         string
	change       func(*http.Request)
	form, header want
	always       bool // also what is for everybody refuses it
}

// body sends a text of the type that the endpoint takes.
func body(text string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

// chunked sends a text without saying how long it is.
func chunked(text string) func(*http.Request) {
	return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), -1 }
}

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

// both applies two changes.
func both(a, b func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) { a(r); b(r) }
}

// fill repeats a text up to a size.
func fill(size int, text string) string { return strings.Repeat(text, size/len(text)) }

// numbered returns up to n texts made with the format and a number, joined, of at most size bytes.
func numbered(size, n int, format, separator string) string {
	var b strings.Builder
	for i := range n {
		next := fmt.Sprintf(format, i) + separator
		if b.Len()+len(next) > size {
			break
		}
		b.WriteString(next)
	}
	return strings.TrimSuffix(b.String(), separator)
}

func basicHeader(text string) func(*http.Request) {
	return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text)))
}

// bodies are the largest bodies that are read at all, and larger ones. Where a client authenticates by a header, a body is
// nothing that anybody reads before.
var bodies = []input{
	{"nothing", func(*http.Request) {}, nobody, nobody, false},
	{"parameters", body(fill(maxBody, "a=&")), nobody, nobody, false},
	{"separators", body(fill(maxBody, "&")), nobody, nobody, false},
	{"escapes", body(fill(maxBody, "%41")), nobody, nobody, false},
	{"one value", body("a=" + fill(maxBody-2, "x")), nobody, nobody, false},
	{"one value of escapes", body("a=" + fill(maxBody-2, "%41")), nobody, nobody, false},
	{"one value of blanks", body("a=" + fill(maxBody-2, "+")), nobody, nobody, false},
	{"one value, unannounced", chunked("a=" + fill(maxBody-2, "+")), nobody, nobody, false},
	{"broken escapes", body("a=" + fill(maxBody-2, "%")), nobody, nobody, false},
	{"semicolons", body("a=" + fill(maxBody-2, ";")), nobody, nobody, false},
	{"not UTF-8", body("a=" + fill(maxBody-2, "%ff")), nobody, nobody, false},
	{"distinct parameters", body(numbered(maxBody, 128, "%02x="+fill(2030, "+"), "&")), nobody, nobody, false},
	{"resources", body(numbered(maxBody, 128, "resource=%02x"+fill(2030, "%41"), "&")), nobody, nobody, false},
	{"one assertion, often", body(numbered(maxBody, 128, "client_assertion=%02x"+fill(2000, "x"), "&")), nobody, nobody, false},
	{"a huge assertion", body(asserts(fill(maxBody-200, "."))), nobody, nobody, false},
	{"one byte too many, announced", body(fill(maxBody+1, "x")), tooLarge, nobody, false},
	{"one byte too many, unannounced", chunked(fill(maxBody+1, "x")), tooLarge, nobody, false},
	{"JSON, nested", asJSON(fill(maxBody, "[")), nobody, nobody, false},
	{"JSON, nested objects", asJSON(fill(maxBody, `{"a":`)), nobody, nobody, false},
	{"JSON, members", asJSON("{" + numbered(maxBody-2, maxBody, `"%x":0`, ",") + "}"), nobody, nobody, false},
	{"JSON, escapes", asJSON(`{"a":"` + fill(maxBody-8, `\u0041`) + `"}`), nobody, nobody, false},
	{"JSON, a long number", asJSON(`{"a":` + fill(maxBody-6, "9") + `}`), nobody, nobody, false},
}

// asserts is a form with a client assertion.
func asserts(assertion string) string {
	return "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=" + assertion
}

func asJSON(text string) func(*http.Request) {
	return both(body(text), header("Content-Type", "application/json"))
}

// headers are the largest headers that net/http lets through.
var headers = []input{
	{"Basic, wrong", basicHeader("ops:" + fill(32, "x")), nobody, nobody, false},
	{"Basic, unknown", basicHeader("nobody:" + fill(32, "x")), nobody, nobody, false},
	{"Basic, huge", header("Authorization", "Basic "+fill(maxHeader, "AAAA")), nobody, nobody, false},
	{"Basic, huge escapes", basicHeader("ops:" + fill(maxHeader/4*3-9, "%41")), nobody, nobody, false},
	{"Basic, the longest", basicHeader("ops:" + fill(maxToken, "+")), nobody, nobody, false},
	{"Basic, colons", basicHeader(fill(maxHeader/4*3-9, ":")), nobody, nobody, false},
	{"Basic, no base64", header("Authorization", "Basic "+fill(maxHeader, "%")), nobody, nobody, false},
	{"Bearer, dots", header("Authorization", "Bearer "+fill(64<<10, ".")), nobody, nobody, false},
	{"Bearer, huge", header("Authorization", "Bearer "+fill(maxHeader, "e")), nobody, nobody, false},
	{"Bearer, blanks", header("Authorization", "Bearer"+fill(maxHeader, " ")), nobody, nobody, false},
	{"a huge scheme", header("Authorization", fill(maxHeader, "x")), nobody, nobody, false},
	{"often", header("Authorization", strings.Split(fill(maxHeader, "Basic Og==,"), ",")...), unclear, unclear, false},
	{"many headers", manyHeaders, nobody, nobody, false},
	{"cookies", header("Cookie", fill(maxHeader, "a=b; ")), nobody, nobody, false},
	{"content types", header("Content-Type", "text/plain;"+numbered(maxHeader, maxHeader, "%x=y", ";")), nobody, nobody, false},
	{"a huge content type", header("Content-Type", fill(maxHeader, "a/b")), nobody, nobody, false},
	{"a huge charset", header("Content-Type", formType+`;charset="`+fill(maxHeader, `\a`)+`"`), nobody, nobody, false},
	{"a continued charset", header("Content-Type", formType+numbered(maxHeader, maxHeader, ";charset*%d=%%41", "")), nobody, nobody, false},
	{"a huge proof", header("DPoP", fill(maxHeader, "e")), nobody, nobody, false},
	{"a large key", header("DPoP", proofOfRSA()), nobody, nobody, false},
	{"proofs", header("DPoP", strings.Split(fill(maxHeader, "a.b.c,"), ",")...), nobody, nobody, false},
	{"a huge query", func(r *http.Request) { r.URL.RawQuery = fill(maxHeader, "a=%41&") }, nobody, nobody, false},
	{"a huge method", func(r *http.Request) { r.Method = fill(maxHeader, "POST") }, wrongVerb, wrongVerb, true},
	{"a longer path", func(r *http.Request) { r.URL.Path += fill(maxHeader, "/") }, nowhere, nowhere, true},
	{"a path of escapes", func(r *http.Request) {
		r.URL.Path, r.URL.RawPath = r.URL.Path+fill(maxHeader/3, "/"), r.URL.Path+fill(maxHeader, "%2F")
	}, nowhere, nowhere, true},
	{"a path to be escaped", func(r *http.Request) { r.URL.Path += fill(maxHeader, " ") }, nowhere, nowhere, true},
}

func manyHeaders(r *http.Request) {
	for i := range 10_000 {
		r.Header[fmt.Sprintf("X-%d", i)] = []string{fill(90, "v")}
	}
}

// proofOfRSA is a proof with a key of 8192 bits.
func proofOfRSA() string {
	n := b64.EncodeToString(modulus(8192, 65537).N.Bytes())
	return forged(`{"typ":"dpop+jwt","alg":"RS256","jwk":{"kty":"RSA","e":"AQAB","n":"`+n+`"}}`, "honest", "", 1024)
}
