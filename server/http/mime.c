// SPDX-License-Identifier: MIT
// The media types that IANA has, and what the rest of the world calls the others. What is text is UTF-8 here:
// without a charset browsers guess one.
#include "http/mime.h"
#include <stdlib.h>
#include "base/util.h"

#define TEXT(extension, type) \
  { extension, type "; charset=utf-8", true }
#define PACKABLE(extension, type) \
  { extension, type, true }
#define BYTES(extension, type) \
  { extension, type, false }

static const struct mime types[] = {
    // in the order of their extensions
    // clang-format off
    BYTES("7z", "application/x-7z-compressed"),
    BYTES("aac", "audio/aac"),
    TEXT("atom", "application/atom+xml"),
    BYTES("avi", "video/x-msvideo"),
    BYTES("avif", "image/avif"),
    BYTES("bin", "application/octet-stream"),
    PACKABLE("bmp", "image/bmp"),
    BYTES("bz2", "application/x-bzip2"),
    TEXT("c", "text/x-c"),
    TEXT("cjs", "text/javascript"),
    TEXT("conf", "text/plain"),
    TEXT("css", "text/css"),
    TEXT("csv", "text/csv"),
    BYTES("doc", "application/msword"),
    BYTES("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    PACKABLE("eot", "application/vnd.ms-fontobject"),
    BYTES("epub", "application/epub+zip"),
    BYTES("flac", "audio/flac"),
    TEXT("geojson", "application/geo+json"),
    BYTES("gif", "image/gif"),
    PACKABLE("glb", "model/gltf-binary"),
    TEXT("gltf", "model/gltf+json"),
    BYTES("gz", "application/gzip"),
    TEXT("h", "text/x-c"),
    BYTES("heic", "image/heic"),
    TEXT("htm", "text/html"),
    TEXT("html", "text/html"),
    PACKABLE("ico", "image/vnd.microsoft.icon"),
    TEXT("ics", "text/calendar"),
    BYTES("jpeg", "image/jpeg"),
    BYTES("jpg", "image/jpeg"),
    TEXT("js", "text/javascript"),
    TEXT("json", "application/json"),
    TEXT("jsonl", "application/jsonl"),
    TEXT("jsonld", "application/ld+json"),
    BYTES("jxl", "image/jxl"),
    TEXT("log", "text/plain"),
    TEXT("lua", "text/x-lua"),
    PACKABLE("m3u8", "application/vnd.apple.mpegurl"),
    BYTES("m4a", "audio/mp4"),
    BYTES("m4v", "video/mp4"),
    TEXT("map", "application/json"),
    TEXT("md", "text/markdown"),
    BYTES("mid", "audio/midi"),
    TEXT("mjs", "text/javascript"),
    BYTES("mkv", "video/x-matroska"),
    BYTES("mov", "video/quicktime"),
    BYTES("mp3", "audio/mpeg"),
    BYTES("mp4", "video/mp4"),
    PACKABLE("mpd", "application/dash+xml"),
    BYTES("mpeg", "video/mpeg"),
    BYTES("odp", "application/vnd.oasis.opendocument.presentation"),
    BYTES("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    BYTES("odt", "application/vnd.oasis.opendocument.text"),
    BYTES("oga", "audio/ogg"),
    BYTES("ogg", "audio/ogg"),
    BYTES("ogv", "video/ogg"),
    BYTES("opus", "audio/ogg"),
    PACKABLE("otf", "font/otf"),
    BYTES("pdf", "application/pdf"),
    BYTES("png", "image/png"),
    BYTES("ppt", "application/vnd.ms-powerpoint"),
    BYTES("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    PACKABLE("ps", "application/postscript"),
    BYTES("rar", "application/vnd.rar"),
    TEXT("rss", "application/rss+xml"),
    PACKABLE("rtf", "application/rtf"),
    TEXT("sh", "text/x-shellscript"),
    TEXT("svg", "image/svg+xml"),
    PACKABLE("tar", "application/x-tar"),
    BYTES("tif", "image/tiff"),
    BYTES("tiff", "image/tiff"),
    PACKABLE("toml", "application/toml"),
    BYTES("ts", "video/mp2t"),
    TEXT("tsv", "text/tab-separated-values"),
    PACKABLE("ttf", "font/ttf"),
    TEXT("txt", "text/plain"),
    TEXT("vtt", "text/vtt"),
    PACKABLE("wasm", "application/wasm"),
    BYTES("wav", "audio/wav"),
    BYTES("weba", "audio/webm"),
    BYTES("webm", "video/webm"),
    TEXT("webmanifest", "application/manifest+json"),
    BYTES("webp", "image/webp"),
    BYTES("woff", "font/woff"),
    BYTES("woff2", "font/woff2"),
    TEXT("xhtml", "application/xhtml+xml"),
    BYTES("xls", "application/vnd.ms-excel"),
    BYTES("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    TEXT("xml", "application/xml"),
    BYTES("xz", "application/x-xz"),
    PACKABLE("yaml", "application/yaml"),
    PACKABLE("yml", "application/yaml"),
    BYTES("zip", "application/zip"),
    BYTES("zst", "application/zstd"),
    // clang-format on
};

static const struct mime unknown = {"", "application/octet-stream", false};

// In the order of strcmp, without regard to the case of `key`.
static int compare(const void *key, const void *type) {
  const struct span *extension = key;
  const char *other = ((const struct mime *)type)->extension;
  int order = strncasecmp(extension->bytes, other, extension->len);
  return order ? order : other[extension->len] ? -1 : 0;
}

const struct mime *mime_of(struct span name) {
  const char *dot = name.len ? memrchr(name.bytes, '.', name.len) : NULL;
  if (!dot) return &unknown;
  struct span extension = span_behind(name, (size_t)(dot + 1 - name.bytes));
  const struct mime *found = bsearch(&extension, types, countof(types), sizeof *types, compare);
  return found ? found : &unknown;
}

bool mime_is_text(struct span type) {
  static const char *const others[] = {"application/json", "application/xml", "application/javascript",
                                       "application/manifest+json"};
  struct span name = span_trim(span_split(&type, ';'));
  if (span_starts_with_nocase(name, SPAN("text/"))) return true;
  for (size_t i = 0; i < countof(others); i++)
    if (span_equal_nocase(name, span_of(others[i]))) return true;
  return span_ends_with_nocase(name, SPAN("+json")) || span_ends_with_nocase(name, SPAN("+xml"));
}
