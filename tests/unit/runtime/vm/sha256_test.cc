#include "runtime/vm/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::vm {
namespace {

std::string Of(const std::string& text) {
  Sha256 digest;
  digest.Update(text);
  return digest.FinishHex();
}

// The examples of FIPS 180-4's validation, and lengths around a block's end.
TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(Of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Of(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PiecesMakeNoDifference) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += static_cast<char>(i);
    Sha256 digest;
    for (const char byte : text) {
      digest.Update(std::string_view(&byte, 1));
    }
    ASSERT_EQ(digest.FinishHex(), Of(text)) << text.size() << " bytes";
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
}  // namespace farlet::vm
