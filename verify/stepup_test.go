package verify_test

import (
	"errors"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/verify"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// session is what a token says of an authentication.
func session(acr string, ago time.Duration) tokenboundary.Claims {
	return tokenboundary.Claims{Subject: "alice", ACR: acr, AuthTime: now.Add(-ago).Unix()}
}

const (
	level = `Bearer error="insufficient_user_authentication", error_description="A different authentication level is required"`
	fresh = `Bearer error="insufficient_user_authentication", error_description="More recent authentication is required"`
)

func TestStepUp(t *testing.T) {
	acr, age := verify.StepUp{ACR: []string{"aal3", "aal2"}}, verify.StepUp{MaxAge: time.Minute}
	both := verify.StepUp{ACR: acr.ACR, MaxAge: age.MaxAge}
	const values, seconds = `, acr_values="aal3 aal2"`, `, max_age="60"`
	for name, c := range map[string]struct {
		required  verify.StepUp
		claims    tokenboundary.Claims
		challenge string // empty: enough
	}{
		"preferred":             {acr, session("aal3", 24*time.Hour), ""},
		"the other":             {acr, session("aal2", 24*time.Hour), ""},
		"lower":                 {acr, session("aal1", 0), level + values},
		"other case":            {acr, session("AAL2", 0), level + values},
		"both in one":           {acr, session("aal3 aal2", 0), level + values},
		"none":                  {acr, session("", 0), level + values},
		"now":                   {age, session("", 0), ""},
		"just in time":          {age, session("", time.Minute), ""},
		"too old":               {age, session("aal3", 61*time.Second), fresh + seconds},
		"no time":               {age, tokenboundary.Claims{ACR: "aal3"}, fresh + seconds},
		"before all time":       {age, tokenboundary.Claims{AuthTime: -1}, fresh + seconds},
		"of a fast clock":       {age, session("", -5*time.Second), ""},
		"of the future":         {age, session("", -6*time.Second), fresh + seconds},
		"of the far future":     {age, tokenboundary.Claims{AuthTime: math.MaxInt64}, fresh + seconds},
		"both met":              {both, session("aal2", time.Second), ""},
		"only the level":        {both, session("aal2", time.Hour), fresh + values + seconds},
		"only the time":         {both, session("aal1", time.Second), level + values + seconds},
		"nobody":                {both, tokenboundary.Claims{}, level + values + seconds},
		"any time":              {verify.StepUp{MaxAge: math.MaxInt64 / time.Second * time.Second}, session("", time.Hour), ""},
		"a class that is a URI": {verify.StepUp{ACR: []string{"urn:mace:incommon:iap:silver"}}, session("urn:mace:incommon:iap:silver", 0), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.required.Check(c.claims, now)
			if c.challenge == "" {
				require.NoError(t, err)
				return
			}
			var insufficient *verify.InsufficientAuthenticationError
			require.ErrorAs(t, err, &insufficient)
			require.Equal(t, c.challenge, insufficient.Challenge())
			require.NotContains(t, err.Error(), "alice")

			c.claims.Confirm = &tokenboundary.Confirm{Thumbprint: "k"}
			require.ErrorAs(t, c.required.Check(c.claims, now), &insufficient)
			require.Equal(t, "DPoP"+c.challenge[len("Bearer"):], insufficient.Challenge(), "as the token was to be used")
		})
	}
}

// A requirement that is missing or cannot be said lets nobody through, and sends nobody to authenticate in vain.
func TestStepUpThatCannotBeMet(t *testing.T) {
	good := session("aal2", 0)
	require.NoError(t, verify.StepUp{ACR: []string{"aal2"}, MaxAge: time.Second}.Check(good, now), "positive control")
	for name, s := range map[string]verify.StepUp{
		"zero":            {},
		"empty list":      {ACR: []string{}},
		"empty class":     {ACR: []string{"aal2", ""}},
		"two in one":      {ACR: []string{"aal3 aal2"}},
		"quoted":          {ACR: []string{"aal2", `x", error="none`}},
		"escaped":         {ACR: []string{"aal2", `x\`}},
		"line break":      {ACR: []string{"aal2", "x\r\nSet-Cookie: a=b"}},
		"not ASCII":       {ACR: []string{"aal2", "ü"}},
		"negative":        {MaxAge: -time.Second},
		"negative beside": {ACR: []string{"aal2"}, MaxAge: -time.Second},
		"half a second":   {MaxAge: time.Second / 2},
		"and a half":      {MaxAge: 3 * time.Second / 2},
	} {
		err := s.Check(good, now)
		require.ErrorContains(t, err, "StepUp", name)
		var insufficient *verify.InsufficientAuthenticationError
		require.False(t, errors.As(err, &insufficient), name)
	}
}

// What Check returned does not follow later changes of the requirement.
func TestAChallengeIsACopy(t *testing.T) {
	s := verify.StepUp{ACR: []string{"aal3"}}
	var insufficient *verify.InsufficientAuthenticationError
	require.ErrorAs(t, s.Check(session("aal1", 0), now), &insufficient)
	s.ACR[0] = "changed\r\n"
	require.Equal(t, level+`, acr_values="aal3"`, insufficient.Challenge())
	header := http.Header{}
	header.Set("WWW-Authenticate", insufficient.Challenge())
	require.Len(t, header, 1)
}
