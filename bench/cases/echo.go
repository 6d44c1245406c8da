package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// openEcho measures what is the same for every service over HTTP: making a request of the size of an exchange, reading its
// form and its header, and recording an answer of the size of a token. It authenticates nobody and signs nothing.
func openEcho(string) (*suite.Instance, error) {
	const size = 900
	token := strings.Repeat("t", size)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		if err := r.ParseForm(); err != nil || !ok || secret == "" || r.PostForm.Get("subject_token") == "" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		err := json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 300, "client_id": id})
		if err != nil {
			panic(err) // a recorder takes everything
		}
	})
	form := ExchangeForm(tb.TypeAccessToken, "resource", crm, "scope", narrow[0])
	send := func(secret string) *Answer { return Post(h, "/token", agent, secret, form+token) }
	return &suite.Instance{
		Op: func(int) error { return Expect(send(agentSecret), http.StatusOK) },
		Check: func() error {
			got, err := AccessToken(send(agentSecret))
			if got != token {
				err = errors.Join(err, fmt.Errorf("answered with %q", got))
			}
			return err
		},
		Refuse: func() error { return Expect(send(""), http.StatusBadRequest) },
	}, nil
}
