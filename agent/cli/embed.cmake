# Writes OUT: the files DIR/<PREFIX><name>, for each name of NAMES, as the table TABLE of
# `struct TYPE {name, text, size}`, which the header HEADER declares.
set(text "#include \"${HEADER}\"\n\n")
set(table "")
set(i 0)
foreach(name IN LISTS NAMES)
  file(READ "${DIR}/${PREFIX}${name}" hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
         "\\1\n\t" bytes "${bytes}")
  string(APPEND text "static const unsigned char text_${i}[] = {\n\t${bytes}\n};\n")
  string(APPEND table "\t{\"${name}\", text_${i}, sizeof(text_${i})},\n")
  math(EXPR i "${i} + 1")
endforeach()
string(APPEND text "const struct ${TYPE} ${TABLE}[] = {\n${table}\t{0, 0, 0},\n};\n")
file(WRITE "${OUT}" "${text}")
