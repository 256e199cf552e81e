# Writes OUT with #define CODEGEN_SOURCES_HASH, the hash of the contents of FILES.
set(all "")
foreach(file IN LISTS FILES)
    file(SHA256 ${file} hash)
    string(APPEND all ${hash})
endforeach()
string(SHA256 hash "${all}")
string(SUBSTRING ${hash} 0 16 hash)
file(WRITE ${OUT} "#define CODEGEN_SOURCES_HASH \"${hash}\"\n")
