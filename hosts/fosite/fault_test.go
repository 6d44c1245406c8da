package fosite_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

var errDown = errors.New("the store is down")

func failing(t *testing.T, op storetest.Op) (*world, *storetest.Faulty) {
	down := storetest.FailOn(memory.New(), op, errDown).Set(false)
	return newWorld(t, func(w *world) { w.store = down }), down
}

func TestNoTokenLeavesWhileTheStoreIsDown(t *testing.T) {
	for _, op := range []storetest.Op{storetest.Commit, storetest.Heads, storetest.Get} {
		t.Run(string(op), func(t *testing.T) {
			w, down := failing(t, op)
			family := w.family("read")
			parent := family.text("access_token")
			before := w.sessions()

			down.Set(true)
			const status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
			if op != storetest.Get { // which a root does not need
				w.refused(w.credentials("tool", "read"), status, code)
			}
			w.refused(w.exchange("tool", parent, tb.TypeAccessToken, "read"), status, code)
			w.refused(w.refresh("orchestrator", family.text("refresh_token")), status, code)
			require.Equal(t, before, w.sessions(), "what was minted is gone")
			if op == storetest.Get {
				w.dead(parent)
			}

			down.Set(false)
			w.active(parent)
			w.granted(w.exchange("tool", parent, tb.TypeAccessToken, "read"))
			w.granted(w.refresh("orchestrator", family.text("refresh_token"))) // it was not burnt
		})
	}
}

func TestALostAnswerOfTheStoreIsSettled(t *testing.T) {
	w, down := failing(t, storetest.CommitLost)
	token := w.family("read").text("refresh_token")
	down.Set(true)
	for _, a := range []answer{w.credentials("tool", "read"), w.refresh("orchestrator", token)} {
		w.active(w.granted(a).text("access_token")) // it is recorded, and so it is released
	}
}

func TestRevocationWaitsForTheBoundary(t *testing.T) {
	w, down := failing(t, storetest.Commit)
	raw := w.family("read").text("access_token")
	down.Set(true)
	w.refused(w.post("/revoke", "orchestrator", form("token", raw)), http.StatusBadRequest, "invalid_request")
	down.Set(false)
	w.active(raw) // and the server still knows it, so that it can be revoked
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", raw)).status)
	w.dead(raw)
}

// What happens between NewAccessRequest and NewAccessResponse is the host's, or time's.
func TestATokenThatIsNotWhatWasDecidedIsDiscarded(t *testing.T) {
	for name, between := range map[string]func(*world, *fosite.AccessRequest){
		"a scope":     func(_ *world, ar *fosite.AccessRequest) { ar.GrantScope("write") },
		"an audience": func(_ *world, ar *fosite.AccessRequest) { ar.GrantAudience(mail) },
		"the subject": func(_ *world, ar *fosite.AccessRequest) {
			ar.Session.(interface{ SetSubject(string) }).SetSubject("bob")
		},
		"the session": func(w *world, ar *fosite.AccessRequest) { ar.Session = w.session() },
		"the id": func(w *world, ar *fosite.AccessRequest) {
			if s, ok := ar.Session.(*oauth2.JWTSession); ok {
				s.JWTClaims.JTI = "another"
				return
			}
			ar.Session.(*fosite.DefaultSession).Extra["jti"] = "another"
		},
		"the client":   func(w *world, ar *fosite.AccessRequest) { ar.Client = w.host.Clients["unknown"] },
		"the decision": func(_ *world, ar *fosite.AccessRequest) { ar.Form.Del("tokenboundary_decision") },
		"the lifetime": func(_ *world, ar *fosite.AccessRequest) {
			ar.Session.SetExpiresAt(fosite.AccessToken, ar.GetRequestedAt().Add(time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world) {
				token := w.family("read").text("refresh_token")
				before := w.sessions()
				w.between = func(ar *fosite.AccessRequest) { between(w, ar) }
				w.refused(w.credentials("tool", "read"), http.StatusInternalServerError, "server_error")
				w.refused(w.exchange("orchestrator", human(t, "alice"), tb.TypeIDToken, "read"), http.StatusInternalServerError, "server_error")
				require.Equal(t, before, w.sessions())
				w.refused(w.refresh("orchestrator", token), http.StatusInternalServerError, "server_error")
				require.Equal(t, before-1, w.sessions(), "the one before was rotated")
				w.between = nil
				w.granted(w.credentials("tool", "read"))
			})
		})
	}
}

func TestADecisionThatNoLongerHoldsIsDiscarded(t *testing.T) {
	for name, between := range map[string]func(*world){
		"too old": func(w *world) { w.clock.Add(61 * time.Second) },
		"revoked": func(w *world) { w.revoke("client:tool") },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world) {
				w.between = func(*fosite.AccessRequest) { between(w) }
				w.refused(w.credentials("tool", "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
				require.Zero(t, w.sessions())
				for _, r := range w.host.RefreshTokens {
					require.Fail(t, "a refresh token is stored", "%v", r)
				}
			})
		})
	}
}

func TestAStorageThatFailsLetsNoTokenOut(t *testing.T) {
	broken := &brokenStorage{}
	w := newWorld(t, func(w *world) { broken.MemoryStore = w.host; w.storage = broken })
	parent := w.family("read").text("access_token")
	broken.err = fosite.ErrUnknownRequest // which fosite itself takes for "not mine"
	w.refused(w.exchange("tool", parent, tb.TypeAccessToken, "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
	w.dead(parent)
	w.refused(w.post("/revoke", "orchestrator", form("token", parent)), http.StatusBadRequest, "invalid_request")
	broken.err = nil
	broken.refresh = fosite.ErrUnknownRequest
	before := w.sessions()
	w.refused(w.credentials("tool", "read"), http.StatusInternalServerError, "server_error")
	require.Equal(t, before, w.sessions())
	broken.refresh = nil
	w.active(parent)
	w.granted(w.exchange("tool", parent, tb.TypeAccessToken, "read"))
}
