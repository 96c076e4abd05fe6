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

	"github.com/twmb/franz-go/pkg/sr"
)

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
	archive, err := nativeArchive(versions)
	if err != nil {
		return err
	}
	before, _ := r.client.OptValue(sr.PreReq).(func(*http.Request) error)
	client, err := sr.NewClient(append(r.client.Opts(), sr.PreReq(func(request *http.Request) error {
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(archive)), int64(len(archive))
		request.Header.Set("Content-Type", "application/zip")
		request.Header.Set("Accept", "*/*")
		// It may number the versions as it likes: nobody refers to that number.
		request.Header.Set("X-Registry-Preserve-GlobalId", "false")
		request.Header.Set("X-Registry-Preserve-ContentId", "true")
		if before == nil {
			return nil
		}
		return before(request)
	}))...)
	if err != nil {
		return err
	}
	if err := client.Do(ctx, http.MethodPost, nativeRoot+"/admin/import", nil, nil); err != nil {
		return newRegistryError("importing by Apicurio's API%s", "", err)
	}
	return nil
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
		sum := sha256.Sum256([]byte(v.Text))
		hash := hex.EncodeToString(sum[:])
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
