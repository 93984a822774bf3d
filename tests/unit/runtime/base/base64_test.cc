#include "runtime/base/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet {
namespace {

// RFC 4648, section 10.
TEST(Base64Test, HasTheVectorsOfTheStandard) {
  const struct {
    const char* bytes;
    const char* text;
  } cases[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"}};

  for (const auto& one : cases) {
    EXPECT_EQ(EncodeBase64(one.bytes), one.text);
    EXPECT_EQ(*DecodeBase64(one.text), one.bytes);
  }
}

TEST(Base64Test, GoesBothWaysForAllBytes) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) {
    bytes += static_cast<char>(i * 7);
    EXPECT_EQ(*DecodeBase64(EncodeBase64(bytes)), bytes);
  }
  EXPECT_EQ(EncodeBase64("\xff\xfe\xfd"), "//79");
}

TEST(Base64Test, TakesLineBreaksAndMissingPadding) {
  EXPECT_EQ(*DecodeBase64("Zm9v\nYmFy\n"), "foobar");
  EXPECT_EQ(*DecodeBase64("Zm9vYg"), "foob");
  EXPECT_EQ(*DecodeBase64("Zm9vYg==\n"), "foob");
}

TEST(Base64Test, RefusesWhatIsNone) {
  for (const char* text : {"a", "a b c d e", "a?==", "YQ==YQ==", "Zm9v-", "Zm9vY"}) {
    EXPECT_FALSE(DecodeBase64(text)) << text;
  }
}

}  // namespace
}  // namespace farlet
