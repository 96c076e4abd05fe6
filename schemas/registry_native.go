package schemas

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/twmb/franz-go/pkg/sr"
)

// nativeRoot leads from the root of Confluent's API in Apicurio, /apis/ccompat/v7, to that of Apicurio's own.
const nativeRoot = "/../../registry/v2"

// native asks Apicurio's own API, which lies beside the one that it shares with Confluent's registry. It is false where
// there is no such API.
func (r *Registry) native(ctx context.Context, path string, into any) (bool, error) {
	client, err := r.nativeClient(func(*http.Request) {})
	if err != nil {
		return false, err
	}
	err = client.Do(ctx, http.MethodGet, nativeRoot+path, nil, into)
	if s := status(err); s >= 400 && s < 500 {
		return false, nil
	}
	return err == nil, err
}

// nativeClient is the registry's client, with its credentials, that edits each request: Apicurio's own API is strict about
// what one accepts.
func (r *Registry) nativeClient(edit func(*http.Request)) (*sr.Client, error) {
	before, _ := r.client.OptValue(sr.PreReq).(func(*http.Request) error)
	return sr.NewClient(append(slices.Clone(r.client.Opts()), sr.PreReq(func(request *http.Request) error {
		request.Header.Set("Accept", "application/json")
		edit(request)
		if before == nil {
			return nil
		}
		return before(request)
	}))...)
}

// hasNativeLevel says whether the subject has a level of its own, where Apicurio can be asked; elsewhere it has, since its
// registry named one.
func (r *Registry) hasNativeLevel(ctx context.Context, subject string) (bool, error) {
	var rules []string
	there, err := r.native(ctx, nativeRules(subject), &rules)
	if err != nil {
		return false, newRegistryError("asking for the rules of %q", subject, err)
	}
	return !there || slices.Contains(rules, "COMPATIBILITY"), nil
}

// setNativeLevel gives the subject a level of its own, which must have none, in Apicurio.
func (r *Registry) setNativeLevel(ctx context.Context, subject string, level Level) error {
	client, err := r.nativeClient(func(request *http.Request) { request.Header.Set("Content-Type", "application/json") })
	if err != nil {
		return err
	}
	rule := map[string]string{"type": "COMPATIBILITY", "config": string(level)}
	if err := client.Do(ctx, http.MethodPost, nativeRoot+nativeRules(subject), rule, nil); err != nil {
		return newRegistryError("setting the level of %q", subject, err)
	}
	return nil
}

// nativeRules is the path of the subject's rules.
func nativeRules(subject string) string {
	return "/groups/default/artifacts/" + url.PathEscape(subject) + "/rules"
}

// nativeContent is a schema in Apicurio's export, by its contentId, which is the id that events carry.
type nativeContent struct {
	ContentID    int    `json:"contentId"`
	ContentHash  string `json:"contentHash"`
	ArtifactType string `json:"artifactType"`
}

// nativeVersion is a version of a subject in Apicurio's export. Apicurio numbers versions of all subjects by globalId.
type nativeVersion struct {
	GlobalID     int    `json:"globalId"`
	ArtifactID   string `json:"artifactId"`
	Version      string `json:"version"`
	VersionID    int    `json:"versionId"`
	ArtifactType string `json:"artifactType"`
	State        string `json:"state"`
	IsLatest     bool   `json:"isLatest"`
	ContentID    int    `json:"contentId"`
}

// importNatively writes the versions through Apicurio's import of an archive as its export makes it.
// https://github.com/Apicurio/apicurio-registry/tree/2.6.x/utils/importexport
func (r *Registry) importNatively(ctx context.Context, versions []Version) error {
	if len(versions) == 0 {
		return nil
	}
	if err := r.checkContents(ctx, versions); err != nil {
		return err
	}
	archive, err := nativeArchive(versions)
	if err != nil {
		return err
	}
	client, err := r.nativeClient(func(request *http.Request) {
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(archive)), int64(len(archive))
		request.Header.Set("Content-Type", "application/zip")
		// It may number the versions as it likes: nobody refers to that number.
		request.Header.Set("X-Registry-Preserve-GlobalId", "false")
		request.Header.Set("X-Registry-Preserve-ContentId", "true")
	})
	if err != nil {
		return err
	}
	if err := client.Do(ctx, http.MethodPost, nativeRoot+"/admin/import", nil, nil); err != nil {
		return newRegistryError("importing by Apicurio's API%s", "", err)
	}
	return r.deleteAsWere(ctx, versions) // one that was there already, from an import that was cut off
}

// checkContents refuses texts that Apicurio has, or would have, under another id: it keeps each text once, and would pass
// over the second in silence.
func (r *Registry) checkContents(ctx context.Context, versions []Version) error {
	ids := make(map[string]int)
	var conflicts []string
	for _, v := range versions {
		if id, ok := ids[v.Text]; ok {
			if id != v.ID {
				conflicts = append(conflicts, fmt.Sprintf("%s has the text of id %d, and Apicurio gives one text one id, not %d as well", v.name(), id, v.ID))
			}
			continue
		}
		ids[v.Text] = v.ID
		var text []byte
		there, err := r.native(ctx, "/ids/contentHashes/"+contentHash(v.Text), &text)
		if err != nil {
			return newRegistryError("looking for the text of %s", v.name(), err)
		}
		if !there {
			continue
		}
		_, err = r.client.SchemaByID(sr.WithParams(ctx, sr.ShowDeleted), v.ID)
		if saysNone(err) {
			conflicts = append(conflicts, fmt.Sprintf("%s has a text that another id has there, not %d", v.name(), v.ID))
		} else if err != nil {
			return newRegistryError("looking for schema %d", v.ID, err)
		}
	}
	if len(conflicts) > 0 {
		return &TakenError{Conflicts: conflicts}
	}
	return nil
}

// contentHash is Apicurio's name for a text without references.
func contentHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// nativeArchive is the ZIP archive that has the versions.
func nativeArchive(versions []Version) ([]byte, error) {
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	file := func(name string, content any) error {
		w, err := archive.Create(name)
		if err != nil {
			return err
		}
		if text, ok := content.(string); ok {
			_, err = io.WriteString(w, text)
			return err
		}
		return json.NewEncoder(w).Encode(content)
	}
	written := make(map[int]bool)
	for _, v := range versions {
		if written[v.ID] {
			continue
		}
		written[v.ID] = true
		hash := contentHash(v.Text)
		if err := file("content/"+hash+".Content.json", nativeContent{v.ID, hash, "AVRO"}); err != nil {
			return nil, err
		}
		if err := file("content/"+hash+".Content.data", v.Text); err != nil {
			return nil, err
		}
	}
	for i, v := range versions {
		state := "ENABLED"
		if v.Deleted {
			state = "DISABLED"
		}
		last := i+1 == len(versions) || versions[i+1].Subject != v.Subject
		name := fmt.Sprintf("groups/default/artifacts/%d/versions/%d.ArtifactVersion.json", i+1, i+1)
		if err := file(name, nativeVersion{i + 1, v.Subject, fmt.Sprint(v.Number), v.Number, "AVRO", state, last, v.ID}); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
