package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
)

// maxVaultAnswer is the largest answer of a vault, in bytes.
const maxVaultAnswer = 1 << 20

var (
	errVaultAway   = errors.Join(tokenboundary.ErrUnavailable, PublicError("the vault cannot be reached"))
	errVaultAnswer = errors.Join(tokenboundary.ErrUnavailable, PublicError("the vault does not answer as it should"))
)

// vaultAnswer is an answer of a vault. What of it may be said to anybody is its status, and nothing else.
type vaultAnswer struct {
	status int

	LeaseID       string          `json:"lease_id"`
	LeaseDuration int64           `json:"lease_duration"`
	Renewable     bool            `json:"renewable"`
	Data          json.RawMessage `json:"data"`
	Auth          *struct {
		ClientToken   string `json:"client_token"`
		Accessor      string `json:"accessor"`
		LeaseDuration int64  `json:"lease_duration"`
		Orphan        bool   `json:"orphan"`
	} `json:"auth"`
	Errors []string `json:"errors"`
}

// failure returns what an answer other than a success means.
func (a vaultAnswer) failure() error {
	switch {
	case a.status == http.StatusOK || a.status == http.StatusNoContent:
		return nil
	case a.status == http.StatusForbidden:
		return vaultDenies("the vault does not permit it")
	case a.missing():
		return vaultDenies("the vault has nothing there")
	case a.refused():
		return vaultDenies("the vault refuses")
	}
	return errors.Join(tokenboundary.ErrUnavailable, PublicError("the vault is not available"))
}

// refused reports whether the vault has decided not to do it.
func (a vaultAnswer) refused() bool {
	return a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests
}

// says reports whether the vault refuses for the reason.
func (a vaultAnswer) says(why string) bool {
	return a.refused() && slices.ContainsFunc(a.Errors, func(e string) bool { return strings.Contains(e, why) })
}

// missing reports whether the vault has nothing at the path.
func (a vaultAnswer) missing() bool { return a.status == http.StatusNotFound }

// saying returns what reports whether the vault refuses for the reason.
func saying(why string) func(vaultAnswer) bool {
	return func(a vaultAnswer) bool { return a.says(why) }
}

// call asks the vault something as the broker. Where the vault does not know the login any more, it logs in again, once.
func (v *Vault) call(ctx context.Context, method, path string, body any) (vaultAnswer, error) {
	token, err := v.logIn(ctx, "")
	if err != nil {
		return vaultAnswer{}, err
	}
	a, err := v.send(ctx, token.value, method, path, body)
	if err != nil || a.status != http.StatusForbidden || !token.kept || a.says(noAccessor) {
		return a, err
	}
	if token, err = v.logIn(ctx, token.value); err != nil {
		return vaultAnswer{}, err
	}
	return v.send(ctx, token.value, method, path, body)
}

// ask is call where any answer is a failure that is neither a success nor one of gone, by which it is known that something is not there.
func (v *Vault) ask(ctx context.Context, method, path string, body any, gone ...func(vaultAnswer) bool) (a vaultAnswer, there bool, err error) {
	a, err = v.call(ctx, method, path, body)
	if err != nil {
		return a, false, err
	}
	if slices.ContainsFunc(gone, func(is func(vaultAnswer) bool) bool { return is(a) }) {
		return a, false, nil
	}
	err = a.failure()
	return a, err == nil, err
}

// send sends a request, and returns any answer that is one of a vault.
func (v *Vault) send(ctx context.Context, token, method, path string, body any) (vaultAnswer, error) {
	req, err := v.request(ctx, token, method, path, body)
	if err != nil {
		return vaultAnswer{}, err
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return vaultAnswer{}, errVaultAway
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	a := vaultAnswer{status: resp.StatusCode}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxVaultAnswer+1))
	switch {
	case err != nil || len(raw) > maxVaultAnswer:
		return vaultAnswer{}, errVaultAnswer
	case a.status == http.StatusNoContent:
		return a, nil
	case json.Unmarshal(raw, &a) != nil || a.status == http.StatusOK && len(a.Errors) > 0:
		return vaultAnswer{}, errVaultAnswer
	}
	return a, nil
}

func (v *Vault) request(ctx context.Context, token, method, path string, body any) (*http.Request, error) {
	target := v.address.JoinPath("v1", path)
	if method == methodList { // which not every proxy lets pass
		method, target.RawQuery = http.MethodGet, "list=true"
	}
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Request", "true")
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if v.cfg.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.cfg.Namespace)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

const methodList = "LIST"
