package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// trace follows the tool's token back to Alice's login, with nothing but the token's id and what the operator is
// served over HTTP.
func (s *story) trace(ctx context.Context) error {
	claims, err := claimsOf(s.lookUp.Value())
	if err != nil {
		return err
	}
	nodes, err := s.records(ctx, "/lineage/"+claims.ID)
	if err != nil {
		return err
	}
	chain := make([]lineage.Record, len(nodes))
	for i, n := range nodes {
		chain[i] = n.Record
		if n.State != lineage.Revoked || n.Record.Body == nil {
			return differs("state of "+n.Record.ID().String(), n.State, lineage.Revoked)
		}
	}
	if len(chain) != 4 {
		return differs("records in the chain", len(chain), "task, task token, researcher, crm-tool")
	}
	root := chain[0]
	if root.Body.Subject.ID != "alice" || root.Body.Session.ID != session || root.ID().String() != claims.Grant {
		return differs("the root", root.Body.Subject, "alice's grant, named by txn in the token")
	}
	s.ok("the records", fmt.Sprintf("%d, each id is the SHA-256 of its bytes", len(chain)))
	id, err := lineage.ParseID(claims.ID)
	if err != nil {
		return err
	}
	if err := lineage.VerifyChain(id, chain); err != nil {
		return err
	}
	s.ok("the chain", "verifies from the token's jti to the root: nothing missing, outlived or exceeded")
	if err := lineage.VerifyChain(id, append(chain[:2:2], chain[3])); !errors.Is(err, lineage.ErrChain) {
		return differs("the chain without the researcher", err, lineage.ErrChain)
	}
	s.ok("the chain, cut", "does not verify once the researcher's record is taken out")
	if err := ruled(chain); err != nil {
		return err
	}
	s.ok("the rules", "every scope names the rule that allowed it:")
	var tree strings.Builder
	if err := lineage.WriteTree(&tree, nodes); err != nil {
		return err
	}
	_, err = fmt.Fprint(s.out, "\n"+indent(tree.String(), "     "))
	return err
}

// ruled checks that the policy rule behind every granted scope is on record.
func ruled(chain []lineage.Record) error {
	for _, r := range chain {
		granted := 0
		for _, why := range r.Body.Reasons {
			if !why.Granted {
				continue
			}
			granted++
			if !strings.Contains(why.Rule, "#") {
				return differs("the rule for "+why.Scope, why.Rule, "path#rule")
			}
		}
		if granted == 0 {
			return differs("the reasons of "+r.ID().String(), granted, "at least one")
		}
	}
	return nil
}

// records fetches lineage as the operator and rebuilds the records from the bytes that were hashed.
func (s *story) records(ctx context.Context, path string) ([]lineage.Node, error) {
	var answer struct {
		Records []struct {
			ID      string        `json:"id"`
			Raw     string        `json:"raw"`
			RawBody string        `json:"raw_body"`
			State   lineage.State `json:"state"`
		} `json:"records"`
	}
	if err := s.agents[ops].call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return nil, err
	}
	var nodes []lineage.Node
	for _, r := range answer.Records {
		raw, err := base64.RawURLEncoding.DecodeString(r.Raw)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(raw)
		if address := base64.RawURLEncoding.EncodeToString(sum[:]); address != r.ID {
			return nil, differs("the address of a record", address, r.ID)
		}
		body, err := base64.RawURLEncoding.DecodeString(r.RawBody)
		if err != nil {
			return nil, err
		}
		record, err := lineage.Decode(raw, body)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, lineage.Node{Record: record, State: r.State})
	}
	return nodes, nil
}

func indent(text, by string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(by + line)
	}
	return out.String()
}
