package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

// kidOf returns the id of the key that signed a token.
func kidOf(t testing.TB, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	require.NoError(t, err)
	return parsed.Headers[0].KeyID
}

// reply is what came of a request.
type reply struct {
	status int
	body   map[string]any
	err    error
}

// spread sends n requests at once to the nodes in turn, and returns what came of each.
func spread(nodes []*world, n int, send func(w *world, i int) (int, map[string]any)) []reply {
	out := make([]reply, n)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			out[i].status, out[i].body = send(nodes[i%len(nodes)], i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return out
}

// outcomes counts what came of requests by the error's code, which is empty for a success.
func outcomes(replies []reply) map[string]int {
	out := map[string]int{}
	for _, r := range replies {
		code, _ := r.body["error"].(string)
		out[code]++
	}
	return out
}

func TestARefreshTokenHasOneSuccessorOnAllNodes(t *testing.T) {
	const uses = 64
	t.Run("without grace", func(t *testing.T) {
		a, b := newNodes(t)
		first := a.hold("alice")
		got := spread([]*world{a, b}, uses, func(w *world, _ int) (int, map[string]any) {
			return w.form("/token", refresh(first.refresh, ""), as("agent"))
		})
		require.Equal(t, map[string]int{"": 1, "invalid_grant": uses - 1}, outcomes(got))
		for _, w := range []*world{a, b} { // so many repeats have ended the family
			w.requireDead(first.token)
		}
		other := b.hold("bob") // control: another family is untouched
		a.token(refresh(other.refresh, ""), as("agent"))
	})
	t.Run("within the grace", func(t *testing.T) {
		a, b := newNodes(t, "refresh_grace: 0s", "refresh_grace: 5m")
		first := a.hold("alice")
		got := spread([]*world{a, b}, uses, func(w *world, _ int) (int, map[string]any) {
			return w.form("/token", refresh(first.refresh, ""), as("agent"))
		})
		require.Equal(t, map[string]int{"": uses}, outcomes(got))
		next := map[any]bool{}
		for _, r := range got {
			next[r.body["refresh_token"]] = true
		}
		require.Len(t, next, 1, "whoever repeats gets the one successor, from whichever node")
		for token := range next {
			b.token(refresh(token, ""), as("agent"))
		}
	})
}

func TestABudgetIsExactOnAllNodes(t *testing.T) {
	const budget, tries = 7, 40
	a, b := newNodes(t)
	task := a.token(budgeted(a.exchange("alice", "cases:read"), fmt.Sprint(budget)), as("agent"))
	got := spread([]*world{a, b}, tries, func(w *world, _ int) (int, map[string]any) {
		return w.form("/token", derive(task["access_token"], "cases:read"), as("tool"))
	})
	require.Equal(t, map[string]int{"": budget, "invalid_request": tries - budget}, outcomes(got))
	for _, w := range []*world{a, b} {
		for _, r := range got {
			if r.status == http.StatusOK {
				w.requireActive(r.body["access_token"])
			}
		}
		_, state := w.get("/tasks/"+task["task_id"].(string), as("agent"))
		require.Equal(t, float64(budget), state["derivations"])
	}
}

// entriesOf returns the feed as a node shows it, as places and selectors.
func (w *world) entriesOf() (out []string) {
	w.t.Helper()
	status, body := w.get("/revocations", as("ops"))
	require.Equal(w.t, http.StatusOK, status)
	for i, e := range body["entries"].([]any) {
		e := e.(map[string]any)
		if i > 0 {
			before := body["entries"].([]any)[i-1].(map[string]any)
			require.Equal(w.t, before["seq"].(float64)+1, e["seq"])
		}
		out = append(out, fmt.Sprintf("%.0f %s", e["seq"], e["selector"]))
	}
	return out
}

// TestTheFeedIsOneOnAllNodes: whoever revokes, and wherever it is read.
func TestTheFeedIsOneOnAllNodes(t *testing.T) {
	const n = 40
	a, b := newNodes(t)
	got := spread([]*world{a, b}, n, func(w *world, i int) (int, map[string]any) {
		return w.post("/revocations", map[string]any{"selector": fmt.Sprintf("subject:person-%d", i), "reason": "a test"}, as("ops"))
	})
	for _, r := range got {
		require.Equal(t, http.StatusCreated, r.status, "%v", r.body)
	}
	feed := a.entriesOf()
	require.Equal(t, feed, b.entriesOf())
	require.Len(t, feed, n)
	for i := range n {
		require.Condition(t, func() bool {
			for _, e := range feed {
				if strings.HasSuffix(e, fmt.Sprintf(" subject:person-%d", i)) {
					return true
				}
			}
			return false
		}, "person-%d", i)
	}
}

// TestANodeThatIsKilledTakesNothingWithIt: what it has answered holds on the other, which goes on.
func TestANodeThatIsKilledTakesNothingWithIt(t *testing.T) {
	a, b := newNodes(t)
	const workers = 8
	var mu sync.Mutex
	var live, dead []string
	acknowledged := make(chan struct{}, 1<<12)
	var done sync.WaitGroup
	for i := range workers {
		done.Go(func() {
			for n := 0; ; n++ {
				form := a.exchange(fmt.Sprintf("person-%d-%d", i, n), "cases:read")
				token, err := a.try("/token", form)
				if err != nil {
					return
				}
				if n%2 == 1 {
					if _, err := a.try("/revoke", url.Values{"token": {token}}); err != nil {
						return // perhaps it was done: nothing is claimed
					}
				}
				mu.Lock()
				if n%2 == 1 {
					dead = append(dead, token)
				} else {
					live = append(live, token)
				}
				mu.Unlock()
				acknowledged <- struct{}{}
			}
		})
	}
	for range 60 { // it is killed in the middle of the work
		<-acknowledged
	}
	a.kill()
	done.Wait()

	require.NotEmpty(t, dead)
	for _, token := range live {
		b.requireActive(token)
	}
	for _, token := range dead {
		b.requireDead(token)
	}
	b.token(derive(live[0], "cases:read"), as("tool"))
	kept := b.token(b.exchange("alice", "cases:read"), as("agent"))["access_token"]
	a.start()
	a.requireActive(kept)
	a.requireActive(live[0])
	a.requireDead(dead[0])
}

// try sends a form as the agent and returns the token that comes of it. An error is that of a node which is no longer there.
func (w *world) try(path string, form url.Values) (string, error) {
	req, err := http.NewRequest(http.MethodPost, w.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	as("agent")(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	return tokenIn(resp)
}

// tokenIn reads the token in an answer; none in the empty one.
func tokenIn(resp *http.Response) (string, error) {
	defer resp.Body.Close() //nolint:errcheck // only read
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%d: %s", resp.StatusCode, raw)
	case len(raw) == 0:
		return "", nil
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	return answer.Token, json.Unmarshal(raw, &answer)
}
