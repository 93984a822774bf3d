#include "runtime/base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet {
namespace {

// The examples of FIPS 180-4's validation, and lengths around a block's end.
TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256Hex(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // Up to this length the padding fits into the block; then it needs one of its own.
  EXPECT_EQ(Sha256Hex(std::string(55, 'a')),
            "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(Sha256Hex(std::string(56, 'a')),
            "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
}

TEST(Sha256Test, PiecesMakeNoDifference) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += static_cast<char>(i);
    Sha256 digest;
    for (const char byte : text) {
      digest.Update(std::string_view(&byte, 1));
    }
    ASSERT_EQ(digest.FinishHex(), Sha256Hex(text)) << text.size() << " bytes";
  }
}

TEST(Sha256Test, FieldsAreApart) {
  Sha256 one;
  one.UpdateField("ab");
  one.UpdateField("c");
  Sha256 two;
  two.UpdateField("a");
  two.UpdateField("bc");
  EXPECT_NE(one.FinishHex(), two.FinishHex());
}

}  // namespace
}  // namespace farlet
