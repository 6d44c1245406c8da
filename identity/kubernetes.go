package identity

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
)

// KubernetesConfig configures a source for the projected service account tokens of one cluster.
type KubernetesConfig struct {
	// Issuer is the cluster's service account issuer. Required.
	Issuer string
	// Audience is what the tokens must be for; it must not be an audience of the API server. Required.
	Audience string
	// SubjectPrefix is put before every subject, to keep several clusters apart. May be empty for one cluster.
	SubjectPrefix string
	// JWKSFile or JWKSURI is where the cluster's keys are; exactly one is required.
	JWKSFile, JWKSURI string
	// MaxLifetime is the longest time from iat to exp; zero is one hour. The API server may give tokens for its own
	// audience a life of a year.
	MaxLifetime time.Duration
	// Clock, Leeway and HTTPClient are as in OIDCConfig.
	Clock      clock.Clock
	Leeway     time.Duration
	HTTPClient *http.Client
}

// serviceAccount is what every subject of a cluster begins with.
const serviceAccount = "system:serviceaccount:"

// Kubernetes returns a source for projected service account tokens, presented as tokenboundary.TypeJWT. The subject is
// "system:serviceaccount:<namespace>:<name>", its session is that of a workload, and the session's id is the uid of
// the pod, where the token is bound to one. Deletion of the pod is not seen: the token is good until it expires.
func Kubernetes(cfg KubernetesConfig) (*Source, error) {
	if cfg.MaxLifetime == 0 {
		cfg.MaxLifetime = time.Hour
	}
	s, err := newIssuer(OIDCConfig{
		Issuer: cfg.Issuer, Audience: cfg.Audience, SubjectPrefix: cfg.SubjectPrefix, Session: workload,
		JWKSFile: cfg.JWKSFile, JWKSURI: cfg.JWKSURI, Clock: cfg.Clock, Leeway: cfg.Leeway,
		MaxLifetime: cfg.MaxLifetime, HTTPClient: cfg.HTTPClient,
	})
	if err != nil {
		return nil, fmt.Errorf("identity: KubernetesConfig: %w", err)
	}
	v := s.byType[tokenboundary.TypeJWT]
	v.types = []string{"", "jwt"}
	s.byType = map[string]verifier{tokenboundary.TypeJWT: v}
	space := cfg.SubjectPrefix + serviceAccount
	s.subject = func(c *claims, p *tokenboundary.Principal) {
		account, found := strings.CutPrefix(p.Party.ID, space)
		namespace, name, both := strings.Cut(account, ":")
		if !found || !both || namespace == "" || name == "" || strings.Contains(name, ":") {
			c.fail("subject is not a service account")
		}
		p.Session.ID = c.podUID()
	}
	return &Source{identify: s.identify, issuer: cfg.Issuer, space: space, named: true}, nil
}

// podUID returns the uid of the pod that a service account token is bound to; empty if it is bound to none.
func (c *claims) podUID() string {
	if !c.has("kubernetes.io") {
		return ""
	}
	bound := c.object("kubernetes.io")
	uid := ""
	if bound.has("pod") {
		pod := bound.object("pod")
		uid = pod.text("uid")
		bound.adopt(pod.err)
	}
	c.adopt(bound.err)
	return uid
}
