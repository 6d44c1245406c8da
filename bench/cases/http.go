package cases

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// Answer is what a handler has answered.
type Answer = httptest.ResponseRecorder

// Post sends a form to a handler in the same process and returns its answer. Every service over HTTP is measured with it:
// making the request and recording the answer are part of each figure.
func Post(h http.Handler, path, client, secret, form string) *Answer {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Expect returns an error unless the answer has the status.
func Expect(w *Answer, status int) error {
	if w.Code != status {
		return fmt.Errorf("answered %d: %s", w.Code, w.Body)
	}
	return nil
}

// Refused returns an error unless the answer refuses with the status and the error code.
func Refused(w *Answer, status int, code string) error {
	var body struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != status || body.Error != code {
		return fmt.Errorf("answered %d instead of %d %s: %s", w.Code, status, code, w.Body)
	}
	return nil
}

// AccessToken returns the token that an answer carries.
func AccessToken(w *Answer) (string, error) {
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := Expect(w, http.StatusOK); err != nil {
		return "", err
	}
	err := json.Unmarshal(w.Body.Bytes(), &body)
	return body.AccessToken, err
}

// ExchangeForm is the form of an exchange, without the subject token at its end.
func ExchangeForm(subjectType string, more ...string) string {
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token_type": {subjectType},
		"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	for i := 0; i < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	return form.Encode() + "&subject_token="
}
