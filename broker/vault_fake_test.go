package broker_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	vaultJWT  = "canary-jwt"
	vaultPath = "database/creds/readonly"
)

// fakeVault is a small vault that answers as OpenBao and Vault do: the end of a token ends its secrets later, what is synchronous may fail, and
// everything is permitted by a policy or not at all.
type fakeVault struct {
	*httptest.Server
	now func() time.Time

	mu       sync.Mutex
	policies map[string][]vaultRule
	tokens   map[string]*fakeToken
	secrets  map[string]*fakeSecret // by the id of its lease
	kv       map[string]map[string]any
	accounts map[string]string // of the database, by the id of the lease
	n        int
	life     time.Duration // of a secret
	orphans  bool
	down     bool // the database
	seen     []string
	// first sees each request first, and reports whether it has answered.
	first func(http.ResponseWriter, *http.Request, string) bool
}

type fakeToken struct {
	value, accessor, policy string
	until                   time.Time
	meta                    map[string]any
}

type fakeSecret struct {
	token string
	until time.Time
}

type vaultRule struct {
	path string
	caps []string
}

// documentedPolicies are the policies that docs/broker.md says the vault needs, by their names.
func documentedPolicies(t testing.TB) map[string][]vaultRule {
	raw, err := os.ReadFile("../docs/broker.md")
	require.NoError(t, err)
	out, name := map[string][]vaultRule{}, ""
	rule := regexp.MustCompile(`^path "([^"]+)" *\{ capabilities = \[([^\]]+)\] \}`)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "# policy "); ok {
			name, _, _ = strings.Cut(strings.TrimSpace(rest), ":")
		}
		if m := rule.FindStringSubmatch(line); m != nil {
			out[name] = append(out[name], vaultRule{m[1], strings.Split(strings.ReplaceAll(strings.ReplaceAll(m[2], `"`, ""), " ", ""), ",")})
		}
	}
	return out
}

func newFakeVault(t testing.TB, now func() time.Time) *fakeVault {
	f := &fakeVault{
		now: now, policies: documentedPolicies(t), tokens: map[string]*fakeToken{}, secrets: map[string]*fakeSecret{},
		kv:       map[string]map[string]any{"kv/data/erp": {"username": "erp", "password": "canary-kv", "n": 7}},
		accounts: map[string]string{}, life: time.Hour, orphans: true,
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := strings.TrimPrefix(r.URL.Path, "/v1/")
	f.seen = append(f.seen, r.Method+" "+at)
	if f.first != nil && f.first(w, r, at) {
		return
	}
	f.serve(w, r, at)
}

func (f *fakeVault) serve(w http.ResponseWriter, r *http.Request, at string) {
	w.Header().Set("Content-Type", "application/json")
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	status, answer := f.answer(r, at, body)
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	if why, ok := answer.(string); ok {
		answer = map[string]any{"errors": []string{}}
		if why != "" {
			answer = map[string]any{"errors": []string{why}}
		}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *fakeVault) answer(r *http.Request, at string, body map[string]any) (int, any) {
	if strings.HasSuffix(at, "/login") {
		if cmp.Or(body["jwt"], body["secret_id"]) != vaultJWT || cmp.Or(body["role"], body["role_id"]) != "broker" {
			return 400, "the token " + vaultJWT + " is not accepted"
		}
		return 200, map[string]any{"auth": f.newToken("broker", time.Hour, nil)}
	}
	tok := f.tokens[r.Header.Get("X-Vault-Token")]
	if r.Header.Get("X-Vault-Request") != "true" || tok == nil || !f.now().Before(tok.until) || !f.permits(tok.policy, r, at) {
		return 403, "1 error occurred: * permission denied"
	}
	switch {
	case at == "auth/token/create/leases":
		life, err := time.ParseDuration(body["explicit_max_ttl"].(string))
		if err != nil || body["ttl"] != body["explicit_max_ttl"] {
			return 400, "a bad ttl"
		}
		return 200, map[string]any{"auth": f.newToken("lease", life, body["meta"].(map[string]any))}
	case at == "auth/token/revoke-accessor":
		return f.revokeAccessor(body["accessor"])
	case strings.HasPrefix(at, "database/creds/"):
		return f.creds(tok, at)
	case strings.HasPrefix(at, "sys/leases/"):
		return f.leases(strings.TrimPrefix(at, "sys/leases/"), body)
	}
	return f.keyValue(r.Method, at, body)
}

// permits asks the policy, as a vault does: the most specific rule that fits decides.
func (f *fakeVault) permits(policy string, r *http.Request, at string) bool {
	need := map[string][]string{"GET": {"read"}, "POST": {"update"}, "DELETE": {"delete"}}[r.Method]
	switch {
	case r.URL.Query().Get("list") == "true":
		need, at = []string{"list"}, at+"/"
		if strings.HasPrefix(at, "sys/leases/lookup/") {
			need = []string{"list", "sudo"}
		}
	case r.Method == "POST" && strings.HasPrefix(at, "kv/data/") && f.kv[at] == nil:
		need = []string{"create"}
	}
	best := vaultRule{}
	for _, p := range f.policies[policy] {
		prefix, open := strings.CutSuffix(p.path, "*")
		if (p.path == at || open && strings.HasPrefix(at, prefix)) && len(p.path) >= len(best.path) {
			best = p
		}
	}
	return !slices.ContainsFunc(need, func(c string) bool { return !slices.Contains(best.caps, c) })
}

func (f *fakeVault) newToken(policy string, life time.Duration, meta map[string]any) map[string]any {
	f.n++
	t := &fakeToken{
		value: fmt.Sprint("canary-token-", f.n), accessor: fmt.Sprint("accessor-", f.n), policy: policy, until: f.now().Add(life), meta: meta,
	}
	f.tokens[t.value] = t
	return map[string]any{
		"client_token": t.value, "accessor": t.accessor, "lease_duration": int(life.Seconds()), "renewable": true, "orphan": f.orphans,
	}
}

func (f *fakeVault) revokeAccessor(accessor any) (int, any) {
	for value, t := range f.tokens {
		if t.accessor == accessor {
			delete(f.tokens, value)
			for _, s := range f.secrets {
				if s.token == value {
					s.until = f.now()
				}
			}
			return 204, nil
		}
	}
	return 403, "invalid accessor"
}

func (f *fakeVault) creds(tok *fakeToken, at string) (int, any) {
	if f.down {
		return 500, "pq: canary-password is wrong"
	}
	f.n++
	id := fmt.Sprint(at, "/", f.n)
	f.secrets[id] = &fakeSecret{tok.value, f.now().Add(f.life)}
	f.accounts[id] = "canary-password-" + fmt.Sprint(f.n)
	return 200, map[string]any{
		"lease_id": id, "lease_duration": int(f.life.Seconds()), "renewable": true,
		"data": map[string]any{"username": id, "password": f.accounts[id]},
	}
}

func (f *fakeVault) leases(verb string, body map[string]any) (int, any) {
	id, _ := body["lease_id"].(string)
	s := f.secrets[id]
	prefix, list := strings.CutPrefix(verb, "lookup/")
	switch {
	case list:
		var keys []string
		for _, id := range slices.Sorted(maps.Keys(f.secrets)) {
			if path.Dir(id) == prefix {
				keys = append(keys, path.Base(id))
			}
		}
		if keys == nil {
			return 404, ""
		}
		return 200, map[string]any{"data": map[string]any{"keys": keys}}
	case verb == "revoke" && s != nil && body["sync"] == true && !f.down:
		delete(f.secrets, id)
		delete(f.accounts, id)
		return 204, nil
	case verb == "revoke" && s != nil && f.down:
		return 500, "pq: canary-password cannot connect"
	case verb == "revoke":
		return 204, nil // or it is queued
	case s == nil:
		return 400, "invalid lease"
	case verb == "renew":
		s.until = f.now().Add(min(f.life, time.Duration(body["increment"].(float64))*time.Second))
		return 200, map[string]any{"lease_id": id, "lease_duration": int(s.until.Sub(f.now()).Seconds()), "renewable": true}
	}
	return 200, map[string]any{"data": map[string]any{"id": id, "expire_time": s.until, "ttl": int64(s.until.Sub(f.now()).Seconds())}}
}

func (f *fakeVault) keyValue(method, at string, body map[string]any) (int, any) {
	data := strings.Replace(at, "kv/metadata/", "kv/data/", 1)
	switch {
	case method == "DELETE":
		delete(f.kv, data)
		return 204, nil
	case method == "POST" && (f.kv[data] != nil) != (body["options"].(map[string]any)["cas"].(float64) > 0):
		return 400, "check-and-set parameter did not match the current version"
	case method == "POST":
		f.kv[data] = body["data"].(map[string]any)
		return 200, map[string]any{"data": map[string]any{"version": 1}}
	case f.kv[data] == nil:
		return 404, ""
	}
	return 200, map[string]any{"lease_id": "", "data": map[string]any{"data": f.kv[data], "metadata": map[string]any{"version": 1}}}
}

// drain does what the vault does in its own time.
func (f *fakeVault) drain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, s := range f.secrets {
		if !f.down && !f.now().Before(s.until) {
			delete(f.secrets, id)
			delete(f.accounts, id)
		}
	}
}

// with changes the vault.
func (f *fakeVault) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// left says what the vault still has of leases: accounts, tokens that have secrets, entries of the journal.
func (f *fakeVault) left() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.accounts {
		out = append(out, "account "+id)
	}
	for _, s := range f.secrets {
		if f.tokens[s.token] != nil {
			out = append(out, "token of a secret")
		}
	}
	for at, data := range f.kv {
		if accessor, _ := data["accessor"].(string); accessor != "" {
			out = append(out, "journal "+at)
		}
	}
	slices.Sort(out)
	return out
}
